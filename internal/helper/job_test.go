package helper

import (
	"reflect"
	"testing"
	"time"

	"exigo/internal/mail"
	"exigo/internal/wire"
)

// TestOutcomes: nothing that a local transport says about an address is lost on the way.
func TestOutcomes(t *testing.T) {
	want := []mail.Outcome{{
		Result: mail.Failed, Message: "m", UserMessage: "u", LogOnly: true, Diagnosis: "d", Errno: 5, MoreErrno: 6, Freeze: true, Confirmation: "c",
		ReturnFile: "f", DeliveryTime: time.Second, Size: 7, FreezeText: "t", RetryKeys: []mail.RetryUpdate{{Key: "k", Delete: true}},
	}}
	data, err := wire.Append(nil, result{Outcomes: toWire(want)})
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := wire.Decode(data, &r); err != nil {
		t.Fatal(err)
	}
	if got := fromWire(r.Outcomes); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	wired := reflect.ValueOf(toWire(want)[0])
	for i := range wired.NumField() {
		if wired.Field(i).IsZero() {
			t.Errorf("the test leaves %s out", wired.Type().Field(i).Name)
		}
	}
}
