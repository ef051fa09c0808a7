package identity

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// Handler returns a handler that verifies each request before it calls next. Put it around the router, and around
// everything else that changes the URL of requests. A request that the gateway did not sign for this service is answered
// 401. GET and HEAD of /healthz, /readyz, /metrics and /.well-known/* need no identity: next sees these without identity
// headers.
//
// The request that next sees has its whole body, unread, and an identity for [Require] and the other guards.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wire.IsExempt(r.Method, r.RequestURI) {
			own := &response{ResponseWriter: w}
			if path, _, _ := strings.Cut(r.RequestURI, "?"); path == "/.well-known/jwks.json" && v.config.Agreement != nil {
				own.insteadOf404 = func() { v.config.Agreement.ServeHTTP(w, r) }
			}
			next.ServeHTTP(own, withoutIdentityHeaders(r))
			return
		}
		verified, err := v.verify(w, r)
		if err != nil {
			if v.config.OnRefused != nil {
				v.config.OnRefused(r, err)
			}
			answer(w, r, err)
			return
		}
		next.ServeHTTP(&response{ResponseWriter: w}, verified)
	})
}

// response is what the service's own handlers write to. It has no X-Identity-*: a relayed 401 of another service would
// otherwise make the gateway sign with ed25519.
type response struct {
	http.ResponseWriter
	insteadOf404 func() // Writes another response. May be nil.
	isReplaced   bool
}

func (w *response) WriteHeader(status int) {
	if w.isReplaced {
		return
	}
	header := w.Header()
	w.isReplaced = status == http.StatusNotFound && w.insteadOf404 != nil
	for name := range header {
		if w.isReplaced || strings.HasPrefix(strings.ToLower(name), "x-identity-") {
			delete(header, name)
		}
	}
	if w.isReplaced {
		w.insteadOf404()
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(body []byte) (int, error) {
	if w.isReplaced {
		return len(body), nil
	}
	return w.ResponseWriter.Write(body)
}

// Unwrap, Flush and Hijack keep what [http.ResponseController], event streams and WebSockets need.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// verify returns the request to continue with.
func (v *Verifier) verify(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	m := newMessage(r, v.config.Stream)
	id, err := v.verifyHead(r.Context(), m)
	if err != nil {
		return nil, err
	}
	verified := withIdentity(r, verifiedKey{}, id)
	var body []byte
	if m.headers.Has("content-digest") || !m.isStream {
		if body, err = readBody(w, r, v.config.MaxBodyBytes); err != nil {
			return nil, err
		}
		verified.Body = io.NopCloser(bytes.NewReader(body))
	}
	return verified, v.complete(r.Context(), m, body)
}

func newMessage(r *http.Request, stream func(*http.Request) bool) *message {
	isStream := stream != nil && stream(r)
	return &message{method: r.Method, target: r.RequestURI, lines: headerLines(r), isStream: isStream}
}

// headerLines returns the header lines of a request, as far as net/http shows them.
func headerLines(r *http.Request) [][2]string {
	lines := make([][2]string, 0, 48)
	for name, values := range r.Header {
		for _, value := range values {
			lines = append(lines, [2]string{name, value})
		}
	}
	// The order on the wire is lost, and that of the map is random. The reason of a refusal should not be.
	slices.SortFunc(lines, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	if r.TransferEncoding != nil {
		lines = append(lines, [2]string{"transfer-encoding", strings.Join(r.TransferEncoding, ", ")})
	} else if r.ContentLength > 0 && r.Header["Content-Length"] == nil { // A request of package httptest.
		lines = append(lines, [2]string{"content-length", strconv.FormatInt(r.ContentLength, 10)})
	}
	return append(lines, [2]string{"host", r.Host})
}

// readBody reads a whole body.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if r.ContentLength > most {
		return nil, errBodyTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, errBodyTooLarge
	}
	if err != nil {
		panic(http.ErrAbortHandler) // The client is gone, or broke HTTP.
	}
	return body, nil
}

// withoutIdentityHeaders returns a request without headers that a handler could mistake for an identity.
func withoutIdentityHeaders(r *http.Request) *http.Request {
	stripped := r.WithContext(r.Context())
	stripped.Header = make(http.Header, len(r.Header))
	for name, values := range r.Header {
		if !wire.IsIdentityHeader(name) {
			stripped.Header[name] = values
		}
	}
	return stripped
}

var problems = map[string]struct {
	status int
	title  string
}{
	"identity_refused":     {http.StatusUnauthorized, "The request has no valid identity from the gateway"},
	"identity_unavailable": {http.StatusServiceUnavailable, "The identity of the request cannot be checked at the moment"},
	"identity_not_allowed": {http.StatusForbidden, "This kind of caller is not allowed here"},
	"insufficient_role":    {http.StatusForbidden, "The caller's role does not allow this request"},
	"insufficient_scope":   {http.StatusForbidden, "The caller's scopes do not allow this request"},
	"payload_too_large":    {http.StatusRequestEntityTooLarge, "The request body is too large"},
}

// answer answers a request that is not accepted: section 8 of the contract.
func answer(w http.ResponseWriter, r *http.Request, err error) {
	var refused RefusedError
	unavailable := UnavailableError("unavailable")
	switch header := w.Header(); {
	case errors.As(err, &refused):
		header.Set("WWW-Authenticate", "Countersign")
		header.Set("X-Identity-Refused", string(refused))
		problem(w, r, "identity_refused")
	case errors.Is(err, errBodyTooLarge):
		header.Set("Connection", "close")
		problem(w, r, "payload_too_large")
	default:
		errors.As(err, &unavailable)
		header.Set("Retry-After", "1")
		header.Set("X-Identity-Unavailable", string(unavailable))
		problem(w, r, "identity_unavailable")
	}
}

// problem answers with problem details (RFC 9457). They show the path without the query, which may contain secrets.
func problem(w http.ResponseWriter, r *http.Request, code string) {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	var instance []rune // One character for each byte.
	for _, each := range []byte(path[:min(len(path), 1024)]) {
		instance = append(instance, rune(each))
	}
	id := wire.NewRequestID(time.Now())
	if given := r.Header["X-Request-Id"]; len(given) == 1 && wire.IsUUIDv7(given[0]) {
		id = given[0]
	}
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Request-Id", id)
	about := problems[code]
	w.WriteHeader(about.status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "urn:countersign:error:" + code, "title": about.title, "status": about.status,
		"instance": string(instance), "code": code, "request_id": id,
	}) // Fails if the client is gone.
}
