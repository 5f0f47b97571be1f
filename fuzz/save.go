package fuzz

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
)

// Save writes the report to a file in a folder, which it makes if need be, and
// returns the file's name. The name says which strategy and which script: the
// same failure found again is the same file.
func (r *Report) Save(folder string) (string, error) {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return "", err
	}
	h := fnv.New64a()
	h.Write([]byte(r.Script.String()))
	name := filepath.Join(folder, fmt.Sprintf("%s-%016x.kq", r.Strategy, h.Sum64()))
	return name, os.WriteFile(name, []byte(r.Text()), 0o666)
}

// Again is the command that runs a saved script again, perturbed as it was, until
// it fails or has not for a while. The program is what the user types for it.
func Again(program, file, strategy string, perturb int) string {
	command := fmt.Sprintf("%s run %s --strategy %s --rounds 10000", program, file, strategy)
	if perturb > 0 {
		command += fmt.Sprint(" --perturb ", perturb)
	}
	return command
}
