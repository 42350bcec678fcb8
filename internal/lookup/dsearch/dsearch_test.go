package dsearch

import (
	"os"
	"testing"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
)

func TestSuite(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"/dir", "/dir/..subdir"} {
		if err := os.Mkdir(dir+d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"/file", "/dir/regular"} {
		if err := os.WriteFile(dir+f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("file", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	type c = lookuptest.Case
	lookuptest.Suite{Drivers: []*lookup.Driver{Driver()}, Dir: dir, Cases: []c{
		{Type: "dsearch", File: "DIR", Key: "file", Data: "file"},
		{Type: "dsearch", File: "DIR", Key: "nothing", Missing: true},
		{Type: "dsearch", File: "DIR", Key: "FILE", Missing: true},
		{Type: "dsearch*", File: "DIR", Key: "nothing", Missing: true},
		{Type: "dsearch", File: "DIR", Key: ".", Data: "."},
		{Type: "dsearch", File: "DIR", Key: "link", Data: "link"},
		{Type: "dsearch,ret=full", File: "DIR", Key: "file", Data: "DIR/file"},
		{Type: "dsearch,ret=key", File: "DIR", Key: "file", Data: "file"},
		{Type: "dsearch,filter=file", File: "DIR", Key: "file", Data: "file"},
		{Type: "dsearch,filter=file", File: "DIR", Key: "link", Missing: true},
		{Type: "dsearch,filter=file", File: "DIR", Key: "dir", Missing: true},
		{Type: "dsearch,filter=dir", File: "DIR", Key: "dir", Data: "dir"},
		{Type: "dsearch,filter=dir", File: "DIR", Key: "..", Data: ".."},
		{Type: "dsearch,filter=dir", File: "DIR", Key: "file", Missing: true},
		{Type: "dsearch,filter=subdir,ret=full", File: "DIR", Key: "dir", Data: "DIR/dir"},
		{Type: "dsearch,filter=subdir", File: "DIR/dir", Key: "..subdir", Data: "..subdir"},
		{Type: "dsearch,filter=subdir", File: "DIR", Key: "..", Missing: true},
		{Type: "dsearch,filter=subdir", File: "DIR", Key: ".", Missing: true},
		{Type: "dsearch", File: "DIR", Key: "dir/regular", Err: "key for dsearch lookup contains a slash: dir/regular", Defer: true},
		{Type: "dsearch,key=path", File: "DIR", Key: "dir/regular", Data: "dir/regular"},
		{Type: "dsearch,key=path", File: "DIR", Key: "dir/../file", Err: "key for dsearch lookup has bad component: dir/../file", Defer: true},
		{Type: "dsearch,key=path", File: "DIR", Key: "/etc/passwd", Err: "key for dsearch lookup has bad component: /etc/passwd", Defer: true},
		{Type: "dsearch,key=path", File: "DIR", Key: "file/x", Missing: true},
		{Type: "dsearch", File: ".", Key: "file", Err: "dirname '.' for dsearch is not absolute"},
		{Type: "dsearch", File: "DIR/none", Key: "file", Err: "failed to open DIR/none for directory search: No such file or directory"},
		{Type: "dsearch", File: "DIR/file", Key: "file", Err: "failed to open DIR/file for directory search: Not a directory"},
	}}.Run(t)
}
