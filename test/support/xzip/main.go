// Command xzip says what golang.org/x/mod makes of module zips: on standard input a line of JSON for each, with the
// zip's path, its module and version; on standard output a line of JSON for each, with its h1 or the error.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

type question struct {
	Path, Module, Version string
}

type answer struct {
	H1    string `json:"h1,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	buffered := bufio.NewWriter(os.Stdout)
	out := json.NewEncoder(buffered)
	for in.More() {
		var q question
		if err := in.Decode(&q); err != nil {
			fail(err)
		}
		h1, err := check(q)
		a := answer{H1: h1}
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := out.Encode(a); err != nil {
			fail(err)
		}
	}
	if err := buffered.Flush(); err != nil {
		fail(err)
	}
}

// What the go command does with a zip that it has downloaded: it hashes, then unpacks it.
func check(q question) (string, error) {
	h1, err := dirhash.HashZip(q.Path, dirhash.Hash1)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "xzip-")
	if err != nil {
		fail(err)
	}
	defer os.RemoveAll(dir)
	return h1, zip.Unzip(dir, module.Version{Path: q.Module, Version: q.Version}, q.Path)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "xzip:", err)
	os.Exit(1)
}
