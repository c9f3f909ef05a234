// Sumdb serves a signed checksum database on a loopback port, for tests. It prints one line of JSON, {url, name, vkey},
// and ends when its standard input does.
//
// Records are made when they are first looked up. Their go.sum lines come from -sums, a URL in which {module} and
// {version} stand for what is asked (404 or 410 there: no such record), or are made up when -sums is empty.
//
// POST /_ctl/set takes {"faults": {"/tile/": "hang"}, "lies": ["example.com/m@v1.0.0"]} and replaces what was set.
// A fault is for paths with that prefix: 404, 410, 429, 500, hang, garbage (HTML with 200), empty, truncate (half of the
// answer) or flip (one bit of its middle byte). A lie makes the record of a version with hashes of something else;
// it is set before the first lookup. GET /_ctl/log lists the paths that were asked, in order; POST /_ctl/clear empties it.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
)

// filler is where the modules of -fill live; their lines are always made up.
const filler = "fill.larder.test/"

type settings struct {
	Faults map[string]string `json:"faults"`
	Lies   []string          `json:"lies"`
}

type database struct {
	sums   string
	server http.Handler

	mu  sync.Mutex
	set settings
	log []string
}

func main() {
	name := flag.String("name", "sum.larder.test", "name of the database")
	seed := flag.String("seed", "larder", "what its key is made of: the same seed, the same key")
	sums := flag.String("sums", "", "URL of the go.sum lines, with {module} and {version}; empty: made up")
	fill := flag.Int("fill", 0, "records to begin with")
	flag.Parse()

	skey, vkey, err := keys(*name, *seed)
	fail(err)
	db := &database{sums: *sums, log: []string{}}
	records := sumdb.NewTestServer(skey, db.lines)
	db.server = withoutIDs(sumdb.NewServer(records))
	for i := range *fill {
		url := fmt.Sprintf("/lookup/%sm%d@v1.0.0", filler, i)
		answer := httptest.NewRecorder()
		db.server.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, url, nil))
		if answer.Code != http.StatusOK {
			fail(fmt.Errorf("record %d: %s", i, answer.Body))
		}
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	http.HandleFunc("POST /_ctl/set", db.change)
	http.HandleFunc("POST /_ctl/clear", db.clear)
	http.HandleFunc("GET /_ctl/log", db.printLog)
	http.Handle("/", db)
	url := "http://" + listener.Addr().String()
	fail(json.NewEncoder(os.Stdout).Encode(map[string]string{"url": url, "name": *name, "vkey": vkey}))

	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fail(http.Serve(listener, nil))
}

var idLine = regexp.MustCompile(`(?m)^[0-9]+\n`)

// withoutIDs takes the line with a record's number out of data tiles: x/mod's server as of Go 1.23 leaves it in.
func withoutIDs(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/tile/8/data/") {
			server.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, r)
		w.WriteHeader(answer.Code)
		w.Write(idLine.ReplaceAll(answer.Body.Bytes(), nil))
	})
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sumdb:", err)
		os.Exit(1)
	}
}

// keys returns the note keys made of a seed: private and public.
func keys(name, seed string) (skey, vkey string, err error) {
	raw := sha256.Sum256([]byte(seed))
	private := ed25519.NewKeyFromSeed(raw[:])
	vkey, err = note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey))
	if err != nil {
		return "", "", err
	}
	hash := strings.Split(vkey, "+")[1]
	const algorithm = "\x01" // Ed25519
	secret := base64.StdEncoding.EncodeToString([]byte(algorithm + string(raw[:])))
	return "PRIVATE+KEY+" + name + "+" + hash + "+" + secret, vkey, nil
}

func h1(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "h1:" + base64.StdEncoding.EncodeToString(sum[:])
}

// lines returns the go.sum lines for a new record.
func (db *database) lines(module, version string) ([]byte, error) {
	made := func(what string) []byte {
		id := module + " " + version
		return fmt.Appendf(nil, "%s %s\n%s/go.mod %s\n", id, h1(what+id), id, h1(what+id+"/go.mod"))
	}
	db.mu.Lock()
	lies := db.set.Lies
	db.mu.Unlock()
	for _, lie := range lies {
		if lie == module+"@"+version {
			return made("lie "), nil
		}
	}
	if db.sums == "" || strings.HasPrefix(module, filler) {
		return made(""), nil
	}
	url := strings.NewReplacer("{module}", module, "{version}", version).Replace(db.sums)
	answer, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return io.ReadAll(answer.Body)
	case http.StatusNotFound, http.StatusGone:
		// in the form that makes the server answer 404
		return nil, &os.PathError{Op: "lookup", Path: module + "@" + version, Err: os.ErrNotExist}
	}
	return nil, fmt.Errorf("%s: %s", url, answer.Status)
}

func (db *database) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch fault := db.note(r.URL.Path); fault {
	case "":
		db.server.ServeHTTP(w, r)
	case "hang":
		<-r.Context().Done()
	case "garbage":
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html><body>Please log in.</body></html>\n")
	case "empty":
	case "truncate", "flip":
		answer := httptest.NewRecorder()
		db.server.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		if fault == "truncate" {
			body = body[:len(body)/2]
		} else if len(body) > 0 {
			body[len(body)/2] ^= 1
		}
		w.WriteHeader(answer.Code)
		w.Write(body)
	default:
		status, err := strconv.Atoi(fault)
		if err != nil {
			status = http.StatusNotImplemented
		}
		http.Error(w, "set so by the test", status)
	}
}

// note logs a path and returns the fault for it, that of the longest prefix.
func (db *database) note(path string) string {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.log = append(db.log, path)
	longest, fault := -1, ""
	for prefix, f := range db.set.Faults {
		if strings.HasPrefix(path, prefix) && len(prefix) > longest {
			longest, fault = len(prefix), f
		}
	}
	return fault
}

func (db *database) change(w http.ResponseWriter, r *http.Request) {
	var set settings
	if err := json.NewDecoder(r.Body).Decode(&set); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.set = set
}

func (db *database) clear(http.ResponseWriter, *http.Request) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.log = []string{}
}

func (db *database) printLog(w http.ResponseWriter, _ *http.Request) {
	db.mu.Lock()
	defer db.mu.Unlock()
	json.NewEncoder(w).Encode(db.log)
}
