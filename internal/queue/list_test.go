package queue

import (
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: " 0m", 25 * time.Minute: "25m", 90 * time.Minute: "90m", 91 * time.Minute: " 2h", 72 * time.Hour: "72h", 73 * time.Hour: " 3d", 240 * time.Hour: "10d",
	} {
		if got := Age(d); got != want {
			t.Errorf("Age(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "     ", 255: "  255", 1023: " 1023", 2970: " 2.9K", 20480: "  20K", 1572864: " 1.5M", 52428800: "  50M",
	} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q, want %q", n, got, want)
		}
	}
}
