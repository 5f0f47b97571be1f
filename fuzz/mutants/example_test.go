package mutants_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/kqlab/kqlab/fuzz/mutants"
)

// An overlay is made from a mutant, and what is built with it has the fault.
func ExampleMutant_Apply() {
	all, err := mutants.All()
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, m := range all {
		if m.Name != "limbo" {
			continue
		}
		overlay, err := m.Apply("../..", dir)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.What)
		fmt.Println("go test -overlay", filepath.Base(overlay), "./strategies/pcpu")
	}
	// Output:
	// a scan takes a knote off the ready list before it has evaluated it
	// go test -overlay limbo.json ./strategies/pcpu
}
