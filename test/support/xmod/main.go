// Command xmod answers questions about names as golang.org/x/mod does: one JSON array of strings a line on standard
// input, the question and its arguments; for each a line of JSON on standard output, null where x/mod reports an error.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

func main() {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	buffered := bufio.NewWriter(os.Stdout)
	out := json.NewEncoder(buffered)
	for in.More() {
		var line []string
		if err := in.Decode(&line); err != nil {
			fail(err)
		}
		if err := out.Encode(answer(line[0], line[1:])); err != nil {
			fail(err)
		}
	}
	if err := buffered.Flush(); err != nil {
		fail(err)
	}
}

func answer(question string, args []string) any {
	switch question {
	case "isModulePath":
		return module.CheckPath(args[0]) == nil
	case "isFileName":
		return module.CheckFilePath(args[0]) == nil
	case "pathMajor":
		_, major, ok := module.SplitPathVersion(args[0])
		return orNull(major, ok)
	case "escapePath":
		escaped, err := module.EscapePath(args[0])
		return orNull(escaped, err == nil)
	case "unescapePath":
		path, err := module.UnescapePath(args[0])
		return orNull(path, err == nil)
	case "escapeVersion":
		escaped, err := module.EscapeVersion(args[0])
		return orNull(escaped, err == nil)
	case "unescapeVersion":
		version, err := module.UnescapeVersion(args[0])
		return orNull(version, err == nil)
	case "isPseudoVersion":
		return module.IsPseudoVersion(args[0])
	case "pseudoVersionTime":
		at, err := module.PseudoVersionTime(args[0])
		return orNull(at.Format("2006-01-02T15:04:05.000Z07:00"), err == nil)
	case "fitsMajor":
		return module.MatchPathMajor(args[0], args[1])
	case "isCanonicalFor":
		return module.Check(args[0], args[1]) == nil && module.CanonicalVersion(args[1]) == args[1]
	case "matchPrefixPatterns":
		return module.MatchPrefixPatterns(args[0], args[1])
	case "semver":
		v := args[0]
		return []any{semver.IsValid(v), semver.Canonical(v), semver.Major(v), semver.Prerelease(v), semver.Build(v)}
	case "compare":
		return semver.Compare(args[0], args[1])
	case "sort":
		sorted := append([]string{}, args...)
		semver.Sort(sorted)
		return sorted
	}
	fail(fmt.Errorf("no question %q", question))
	return nil
}

func orNull(text string, ok bool) any {
	if !ok {
		return nil
	}
	return text
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "xmod:", err)
	os.Exit(1)
}
