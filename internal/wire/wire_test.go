package wire

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"
)

type inner struct {
	Name string
	Wait time.Duration
}

type sample struct {
	Yes, No  bool
	Small    int8
	Big      int64
	Mode     uint32
	Text     string
	Bytes    []byte
	List     []string
	Inner    inner
	Inners   []inner
	Pointer  *inner
	Nil      *inner
	Table    map[string]string
	At       time.Time
	internal int
}

func full() sample {
	return sample{Yes: true, Small: -128, Big: math.MinInt64, Mode: math.MaxUint32, Text: "a\xff\x00b", Bytes: []byte{0, 1, 255}, List: []string{"", "x"},
		Inner: inner{"n", time.Hour}, Inners: []inner{{"1", -1}, {}}, Pointer: &inner{Name: "p"}, Table: map[string]string{"k": "v", "": "w"},
		At: time.Unix(1700000000, 5), internal: 7}
}

func TestRoundTrip(t *testing.T) {
	for _, in := range []sample{full(), {}, {Big: math.MaxInt64, Bytes: []byte{}, List: []string{}}} {
		data, err := Append([]byte("head"), &in)
		if err != nil {
			t.Fatal(err)
		}
		out := sample{List: []string{"old"}, Table: map[string]string{"old": ""}, Nil: &inner{}, internal: 9}
		if err := Decode(data[4:], &out); err != nil {
			t.Fatal(err)
		}
		want := in
		want.internal = 9
		if len(want.Bytes) == 0 {
			want.Bytes, out.Bytes = nil, nil
		}
		if len(want.List) == 0 {
			want.List = nil
		}
		if !out.At.Equal(want.At) {
			t.Errorf("time %v, want %v", out.At, want.At)
		}
		out.At = want.At
		if !reflect.DeepEqual(out, want) {
			t.Errorf("got  %+v\nwant %+v", out, want)
		}
	}
}

func TestMalformed(t *testing.T) {
	in := full()
	data, _ := Append(nil, in)
	for i := range data {
		var out sample
		if err := Decode(data[:i], &out); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	var out sample
	if err := Decode(append(data, 0), &out); !errors.Is(err, ErrMalformed) {
		t.Errorf("something follows: %v", err)
	}
	for _, c := range []struct {
		data string
		into any
	}{
		{"\x02", new(bool)}, {"\x02", new(*int)}, {"\xff\x03", new(int8)}, {"\x80\x02", new(uint8)},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", new(uint64)}, {"\x05abcd", new(string)}, {"\xff\xff\xff\xff\x0f", new([]inner)},
	} {
		if err := Decode([]byte(c.data), c.into); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q into %T: %v", c.data, c.into, err)
		}
	}
	if _, err := Append(nil, 1.5); err == nil {
		t.Error("a float travelled")
	}
	if Decode(nil, out) == nil || Decode(nil, new(float64)) == nil {
		t.Error("decoded into what cannot hold it")
	}
}

func FuzzDecode(f *testing.F) {
	data, _ := Append(nil, full())
	f.Add(data)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second sample
		if Decode(data, &first) != nil {
			return
		}
		again, err := Append(nil, first)
		if err != nil {
			t.Fatal(err)
		}
		if err := Decode(again, &second); err != nil {
			t.Fatal(err)
		}
		if first.At = second.At; !reflect.DeepEqual(first, second) {
			t.Errorf("%+v\n%+v", first, second)
		}
	})
}

func BenchmarkRoundTrip(b *testing.B) {
	in := full()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var out sample
		buf, _ = Append(buf[:0], &in)
		if err := Decode(buf, &out); err != nil {
			b.Fatal(err)
		}
	}
}
