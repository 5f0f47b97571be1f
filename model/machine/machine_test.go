package machine

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"
)

func TestNativePanics(t *testing.T) {
	defer func() {
		if got, want := fmt.Sprint(recover()), "machine.Native: 0 CPUs, want at least 1"; got != want {
			t.Errorf("Native(0) panics with %q, want %q", got, want)
		}
	}()
	Native(0)
}

func TestPointNames(t *testing.T) {
	for p := range PointCallout + 1 {
		if p.String() == "" {
			t.Errorf("point %d has no name", uint8(p))
		}
	}
}

// TestRunReportsDeadlock: who waits for what; and that it can be mended.
func TestRunReportsDeadlock(t *testing.T) {
	m := Native(2)
	x, y := &WaitChan{Name: "x"}, &WaitChan{Name: "y"}
	m.Go("b", 0, func(td *Thread) { td.Interlock(x); td.Sleep(Forever); td.Wakeup(y) })
	m.Go("a", 1, func(td *Thread) { td.Interlock(y); td.Sleep(Forever) })
	m.Go("c", 1, func(td *Thread) {})
	finish(t, func() {
		err := m.Run()
		var dead *DeadlockError
		if !errors.As(err, &dead) {
			t.Fatalf("Run returns %v, want a DeadlockError", err)
		}
		if got, want := err.Error(), "deadlock: all threads are asleep; a waits for y; b waits for x"; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if err := m.Run(); err == nil {
			t.Error("Run returns nil the second time, and they sleep still")
		}
	})
	td := m.Attach("rescue", 0)
	td.Wakeup(x)
	td.Detach()
	finish(t, func() {
		if err := m.Run(); err != nil {
			t.Error(err)
		}
	})
}

// TestRunIsToldOfDeadlock: when Run waits already, and no thread ends.
func TestRunIsToldOfDeadlock(t *testing.T) {
	m := Native(1)
	m.Go("a", 0, func(td *Thread) {
		td.Interlock(&WaitChan{Name: "x"})
		time.Sleep(5 * time.Millisecond) // for Run to find it awake
		td.Sleep(Forever)
	})
	finish(t, func() {
		if err := m.Run(); err == nil {
			t.Error("Run returns nil, and a thread sleeps")
		}
	})
}

// TestRunSuppressed: no deadlock is reported while a timeout, a callout or an
// attached thread may yet wake somebody.
func TestRunSuppressed(t *testing.T) {
	m := Native(2)
	wc := &WaitChan{Name: "wc"}
	c := m.NewCallout("c", m.CPU(0), func(td *Thread) { td.Wakeup(wc) })
	m.Go("by timeout", 0, func(td *Thread) {
		td.Interlock(&WaitChan{Name: "never"})
		if err := td.Sleep(td.Now() + 2*time.Millisecond); err != ErrTimeout {
			t.Error(err)
		}
		c.Reset(td, td.Now()+2*time.Millisecond)
	})
	m.Go("by callout", 1, func(td *Thread) { td.Interlock(wc); td.Sleep(Forever) })
	finish(t, func() {
		if err := m.Run(); err != nil {
			t.Error(err)
		}
	})
	m.Go("by another", 1, func(td *Thread) { td.Interlock(wc); td.Sleep(Forever) })
	td := m.Attach("another", 0)
	finish(t, func() {
		if err := m.Run(); err != nil {
			t.Error(err)
		}
	}, func() {
		until(func() bool { return wc.count() == 1 && m.live.Load() == 1 })
		td.Wakeup(wc)
	})
}

// TestRunEnds: a thread that is just ending is no deadlock.
func TestRunEnds(t *testing.T) {
	m := Native(2)
	finish(t, func() {
		for range rounds(20000) {
			m.Go("a", 0, func(td *Thread) { td.Stats.Events++ })
			if err := m.Run(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	if got, want := m.Stats().Events, uint64(rounds(20000)); got != want {
		t.Errorf("Stats of ended threads add up to %d events, want %d", got, want)
	}
}

// TestStatsAdd: adds every field.
func TestStatsAdd(t *testing.T) {
	var s, o Stats
	v := reflect.ValueOf(&o).Elem()
	for i := range v.NumField() {
		v.Field(i).SetUint(uint64(i + 1))
	}
	s.Add(&o)
	s.Add(&o)
	for i := range v.NumField() {
		if got := reflect.ValueOf(s).Field(i).Uint(); got != 2*uint64(i+1) {
			t.Errorf("%s is %d after two Adds of %d", v.Type().Field(i).Name, got, i+1)
		}
	}
}
