package identity

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// rawServer is a service on a real socket, whose handler a test replaces.
type rawServer struct {
	*httptest.Server
	handler atomic.Pointer[http.Handler]
	reached atomic.Int64
}

func newRawServer(t *testing.T) *rawServer {
	s := &rawServer{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*s.handler.Load()).ServeHTTP(w, r)
	}))
	s.Server.Config.ErrorLog = nil
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// serve answers verified requests with the identity, and exempt ones with the names of their headers.
func (s *rawServer) serve(v *Verifier) {
	handler := v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.reached.Add(1)
		id, ok := r.Context().Value(verifiedKey{}).(*Identity)
		if !ok {
			for name := range r.Header {
				fmt.Fprintln(w, name)
			}
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		w.Header().Set("X-Body-Length", fmt.Sprint(len(body)))
		_ = json.NewEncoder(w).Encode(IdentityJSON(id))
	}))
	s.handler.Store(&handler)
}

// exchange writes exactly these bytes, and reads one response.
func (s *rawServer) exchange(t *testing.T, method string, request []byte) (status int, header http.Header, body []byte) {
	t.Helper()
	connection, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := connection.Write(request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, _ = io.ReadAll(response.Body)
	return response.StatusCode, response.Header, body
}

// wireForm returns a request as bytes on a socket. It is not ok for a request that HTTP/1.1 cannot carry: a body without
// a header, a line feed in a value, a colon in a name. Nor is it for 256 lines, since Host is one more.
func (r vectorRequest) wireForm() (raw []byte, ok bool) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: service.test\r\nConnection: close\r\n", r.Method, r.Target)
	isChunked, length := false, "0"
	isPossible := len(r.Headers) != 256
	for _, line := range r.lines() {
		isPossible = isPossible && !strings.ContainsAny(line[0], ":\n") && !strings.Contains(line[1], "\n")
		fmt.Fprintf(&text, "%s: %s\r\n", line[0], line[1])
		isChunked = isChunked || strings.EqualFold(line[0], "transfer-encoding")
		if strings.EqualFold(line[0], "content-length") {
			length = strings.TrimSpace(line[1])
		}
	}
	text.WriteString("\r\n")
	if isChunked {
		if len(r.BodyBase64) > 0 {
			fmt.Fprintf(&text, "%x\r\n%s\r\n", len(r.BodyBase64), r.BodyBase64)
		}
		text.WriteString("0\r\n\r\n")
		return text.Bytes(), isPossible
	}
	text.Write(r.BodyBase64)
	return text.Bytes(), isPossible && fmt.Sprint(len(r.BodyBase64)) == length
}

// What net/http decides before this package sees a request, or does not show. Everything else is as in the vectors.
var differences = []string{
	// It answers 400 to a target that it cannot parse.
	"every character that a path may have: 400",
	"exempt: a query that no target may have: 400",
	"percent signs and dots as they came: /a%2: 400",
	"percent signs and dots as they came: /%: 400",
	// It merges equal lengths, and ignores one beside chunks. The digest still decides.
	"header_duplicated: a repeated content-length: 200",
	"header_duplicated: a repeated content-length on a GET: 200",
	"header_malformed: content-length and transfer-encoding: 200",
	"header_malformed: content-length 0 and transfer-encoding: 401 content_digest_missing",
	// It does not show the order of lines.
	"header_alias: before a duplicate in a later line: 401 header_duplicated",
}

func TestVectorsOverSockets(t *testing.T) {
	server := newRawServer(t)
	var found []string
	delivered := 0
	for _, name := range []string{"vectors.json", "agreed-vectors.json"} {
		var file vectorFile
		readVectors(t, name, &file)
		for _, v := range file.Vectors {
			raw, ok := v.Request.wireForm()
			if !ok {
				continue
			}
			delivered++
			got, isRight := server.deliverVector(t, file.verifier(t, v), v, raw)
			if !isRight {
				found = append(found, strings.TrimSpace(v.Name+": "+got))
			}
		}
	}
	slices.Sort(found)
	slices.Sort(differences)
	if !slices.Equal(found, differences) {
		t.Errorf("differences:\n%s", strings.Join(found, "\n"))
	}
	if delivered < 1800 {
		t.Errorf("only %d vectors were delivered", delivered)
	}
}

// deliverVector returns the answer, and whether the vector says so. A refusal by net/http itself is one too.
func (s *rawServer) deliverVector(t *testing.T, verifier *Verifier, v vector, raw []byte) (got string, isRight bool) {
	t.Helper()
	verifier.config.Stream = func(*http.Request) bool { return v.Stream }
	s.serve(verifier)
	method := string(v.Request.Method)
	for _, before := range v.RequestsBefore {
		if raw, ok := before.wireForm(); ok {
			s.exchange(t, string(before.Method), raw)
		}
	}
	for range v.DeliveredBefore {
		s.exchange(t, method, raw)
	}
	reached := s.reached.Load()
	status, header, body := s.exchange(t, method, raw)
	isReached := s.reached.Load() > reached
	got = fmt.Sprint(status, " ", header.Get("X-Identity-Refused"))
	switch {
	case v.Refused != "":
		return got, !isReached && (got == "401 "+v.Refused || status == 400 || status == 501)
	case !isReached:
		return got, false
	case v.Exempt:
		for _, name := range strings.Fields(string(body)) {
			if wire.IsIdentityHeader(name) {
				return name, false
			}
		}
		return got, true
	}
	var form map[string]any
	return got, method == "HEAD" || json.Unmarshal(body, &form) == nil && reflect.DeepEqual(form, v.Identity)
}
