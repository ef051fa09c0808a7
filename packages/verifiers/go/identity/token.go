package identity

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// VerifyIdentityToken verifies that the gateway signed a token, recently, for this service and, if it has req, for this
// request, and that it is not a replay. The token comes without "Bearer", and body is the whole body. A copy of a token
// without req works for any request until it expires. RequestID is unsigned, for logs, and TxnToken is empty.
func (v *Verifier) VerifyIdentityToken(token string, r *http.Request, body []byte) (*Identity, error) {
	return v.verifyToken(r.Context(), token, newMessage(r, v.config.Stream), body)
}

// CheckTokenRequest checks req alone, for claims that a library has verified. The service must accept each jti once.
func CheckTokenRequest(claims map[string]any, r *http.Request, body []byte, stream func(*http.Request) bool) error {
	req, _ := claims["req"].(map[string]any)
	return newMessage(r, stream).checkRequest(req, body)
}

const errMalformed = wire.Refused("signature_malformed")

func (v *Verifier) verifyToken(ctx context.Context, token string, m *message, body []byte) (*Identity, error) {
	parts := strings.Split(token, ".")
	if token == "" {
		return nil, wire.Refused("signature_missing")
	} else if len(token) > 4096 || len(parts) != 3 {
		return nil, errMalformed
	}
	header, payload := members(parts[0]), members(parts[1])
	var t struct {
		Iat, Nbf, Exp int64
		Jti           string
		Req           map[string]any
	}
	err := json.Unmarshal(wire.DecodeURL(parts[1]), &t)
	isBound, longest := payload.has("req"), int64(300)
	if isBound {
		longest = 60
	}
	switch {
	case header == nil || payload == nil:
		return nil, errMalformed
	case header["alg"] != "ES256":
		return nil, wire.Refused("algorithm_mismatch")
	case header["typ"] != "JWT" || header.has("crit"): // RFC 7515 section 4.1.11: extensions that must be known.
		return nil, wire.Refused("tag_mismatch")
	case payload["iss"] != v.config.TokenIssuer || payload["aud"] != v.config.Audience:
		return nil, wire.Refused("audience_mismatch")
	case err != nil || min(t.Iat, t.Nbf, t.Exp) <= 0 || isBound && !wire.IsNonce(t.Jti):
		return nil, errMalformed
	}
	kid, _ := header["kid"].(string)
	m.params = &wire.Params{
		Created: max(t.Iat, t.Nbf), Expires: t.Exp, Nonce: "jti:" + t.Jti, // No nonce has a colon.
		KeyID: kid, Algorithm: "ES256", Signature: wire.DecodeURL(parts[2]),
	}
	if err := m.params.CheckTimes(v.config.Now().Unix(), v.tolerance, longest); err != nil {
		return nil, err
	}
	if err := v.checkSignature(ctx, m.params, []byte(parts[0]+"."+parts[1])); err != nil {
		return nil, err
	}
	if m.headers, err = wire.ReadHeaders(m.lines); err != nil {
		return nil, err
	}
	id, err := identityOf(payload, m.headers["x-request-id"])
	if err != nil || !isBound {
		return id, err
	}
	if err := m.checkRequest(t.Req, body); err != nil {
		return nil, err
	}
	return id, v.claim(ctx, m)
}

// checkRequest compares a request with the req of its token.
func (m *message) checkRequest(req map[string]any, body []byte) (err error) {
	if m.headers, err = wire.ReadHeaders(m.lines); err != nil {
		return err
	}
	digest, isDigested := req["d"].(string)
	actual := map[string]any{"m": m.method, "t": m.target}
	for member, name := range map[string]string{"u": "upgrade", "k": "sec-websocket-key", "c": "content-type"} {
		if m.headers.Has(name) && (isDigested || member != "c") {
			actual[member] = m.headers[name]
		}
	}
	delete(m.headers, "content-digest")
	if isDigested {
		actual["d"] = digest
		m.headers["content-digest"] = "sha-256=:" + base64.StdEncoding.EncodeToString(wire.DecodeURL(digest)) + ":"
	}
	if !reflect.DeepEqual(actual, req) {
		return wire.Refused("coverage_insufficient")
	}
	return m.checkBody(body)
}

// wholeEscapes matches every escape but half of a surrogate pair.
var wholeEscapes = regexp.MustCompile(`\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(?:[^dD]...|[dD][0-7]..)`)

// members reads a part of a token: a JSON object without repeated members, or nil.
func members(part string) (object jwk) {
	text := wire.DecodeURL(part)
	// json.Unmarshal replaces half of a surrogate pair, so that two names could become one.
	if !utf8.Valid(text) || bytes.ContainsRune(wholeEscapes.ReplaceAll(text, nil), '\\') ||
		json.Unmarshal(text, &object) != nil {
		return nil
	}
	once, err := json.Marshal(object)
	if err != nil || countTokens(once) != countTokens(text) {
		return nil
	}
	return object
}

func countTokens(text []byte) (n int) {
	for d := json.NewDecoder(bytes.NewReader(text)); ; n++ {
		if _, err := d.Token(); err == io.EOF {
			return n
		}
	}
}

// claimForms are the claims of the gateway, each with its header or its member of the context. Every other is copied.
var claimForms = map[string]string{
	"aud": "x-identity-audience", "caller": "x-identity", "client_id": "x-client-id", "user_id": "x-user-id",
	"role": "x-user-role", "tenant_id": "x-tenant-id", "idp": "iss", "sid": "sid", "jkt": "jkt", "scope": "scope",
	"auth_time": "auth-time", "amr": "amr", "act": "act",
	"iss": "", "sub": "", "iat": "", "nbf": "", "exp": "", "jti": "", "req": "",
}

// identityOf returns the caller. Its claims have the grammar of the headers, and each kind of caller has those of its
// headers.
func identityOf(payload jwk, requestID string) (*Identity, error) {
	if !wire.IsUUIDv7(requestID) {
		requestID = wire.NewRequestID(time.Now())
	}
	h, context, copied := wire.Headers{"x-request-id": requestID}, []string{}, map[string]any{}
	for name, value := range payload {
		form, isOwn := claimForms[name]
		text, isText := value.(string)
		isHeader := strings.HasPrefix(form, "x-")
		switch {
		case !isOwn:
			copied[name] = value
		case !isText && (isHeader || name == "scope"):
			return nil, errMalformed
		case isHeader:
			h[form] = text
		case name == "scope":
			context = append(context, "scope=("+strings.ReplaceAll(item(text), " ", `" "`)+")")
		case form != "" && !reflect.DeepEqual(value, []any{}):
			context = append(context, form+"="+item(value))
		}
	}
	sub, _ := payload["sub"].(string)
	user, client := h["x-user-id"], h["x-client-id"]
	service, isService := strings.CutPrefix(sub, "service:")
	switch kind := Kind(h["x-identity"]); {
	case kind == KindService && isService:
		h["x-service-id"] = service
	case kind != KindUser && kind != KindClient || sub != cmp.Or(user, "client:"+client):
		return nil, errMalformed
	}
	if user != "" && client != "" { // A user comes through the client.
		context = append(context, "client="+item(client))
		delete(h, "x-client-id")
	}
	h["x-identity-context"] = "" // A token may have more of it than a header.
	if _, err := h.Check(); err != nil {
		return nil, err
	}
	id := newIdentity(h)
	if !id.Context.parse(strings.Join(context, ", ")) {
		return nil, errMalformed
	}
	id.Claims = copied
	return id, nil
}

// item returns a value as x-identity-context has it, and nothing if that has no such values.
func item(value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v) // The grammar has no escapes.
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = item(v[i])
		}
		return "(" + strings.Join(items, " ") + ")"
	case map[string]any:
		return item(v["sub"]) + ";iss=" + item(v["iss"])
	}
	return ""
}
