package hints

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Table is one kind of hint: records of type R by key. R is stored as JSON, so that fields may be added later.
type Table[R any] struct {
	// Name is the database's name as exim_dumpdb takes it: "retry", "wait-remote_smtp", "callout" ...
	Name string
	Doc  string
	// Show writes one record as exim_dumpdb does; nil writes the key and the stored JSON.
	Show func(w io.Writer, key string, stamp time.Time, r R, show Shower)
}

// Action is what Update does with the record.
type Action int

// Actions of Update.
const (
	// Keep leaves the record as it was.
	Keep Action = iota
	// Write stores the record with a new time stamp.
	Write
	// Remove deletes it.
	Remove
)

// Get returns the record of the key and when it was written. A record that cannot be decoded counts as none.
func (t Table[R]) Get(d *DB, key string) (r R, stamp time.Time, found bool, err error) {
	stamp, value, found, err := d.get(t.Name, key)
	if err != nil || !found {
		return r, stamp, false, err
	}
	if json.Unmarshal(value, &r) != nil {
		var zero R
		return zero, stamp, false, nil
	}
	return r, stamp, true, nil
}

// Put stores the record under the key, with the time of now.
func (t Table[R]) Put(d *DB, key string, r R) error {
	if d == nil {
		return nil
	}
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("hints %s: %w", t.Name, err)
	}
	return d.put(t.Name, key, value)
}

// Empty tells whether the table has no record. A database that cannot be read counts as one that has some.
func (t Table[R]) Empty(d *DB) bool {
	empty := true
	err := t.Each(d, "", func(string, time.Time, R) bool {
		empty = false
		return false
	})
	return err == nil && empty
}

// Update changes one record while no other process can: change gets what is there (found false and a zero R for nothing) and
// says what to do with what it returns.
func (t Table[R]) Update(d *DB, key string, change func(r R, stamp time.Time, found bool) (R, Action)) error {
	return d.update(t.Name, key, func(stamp time.Time, value []byte, found bool) ([]byte, Action, error) {
		var r R
		if found && json.Unmarshal(value, &r) != nil {
			var zero R
			r, found = zero, false
		}
		after, action := change(r, stamp, found)
		if action != Write {
			return nil, action, nil
		}
		value, err := json.Marshal(after)
		return value, Write, err
	})
}

// Delete removes the record of the key, if there is one.
func (t Table[R]) Delete(d *DB, key string) error { return d.delete(t.Name, key) }

// Each calls visit for all records whose keys begin with the prefix ("" for all), in the order of the keys, until visit returns false.
func (t Table[R]) Each(d *DB, prefix string, visit func(key string, stamp time.Time, r R) bool) error {
	rows, err := d.rows(t.Name, prefix)
	if err != nil {
		return err
	}
	for _, row := range rows {
		var r R
		if json.Unmarshal(row.value, &r) != nil {
			continue
		}
		if !visit(row.key, row.stamp, r) {
			break
		}
	}
	return nil
}

// Declaration is a Table without its type parameter: what the catalog, exim_dumpdb and exim_tidydb work with.
type Declaration interface {
	// TableName is the database's name; one that ends in "-" stands for all names that begin with it.
	TableName() string
	show(w io.Writer, r row, s Shower)
}

// TableName implements Declaration.
func (t Table[R]) TableName() string { return t.Name }

func (t Table[R]) show(w io.Writer, r row, s Shower) {
	var record R
	if t.Show == nil || json.Unmarshal(r.value, &record) != nil {
		fmt.Fprintf(w, "%s %s\n", printable(r.key), printable(string(r.value)))
		return
	}
	t.Show(w, r.key, r.stamp, record, s)
}
