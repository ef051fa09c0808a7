// Package verifier verifies that a request came through a Countersign gateway: docs/identity-contract.md, rule by rule.
// It keeps nonces in memory, so it is only for services with one instance.
package verifier

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Refused is the reason for a refusal, for x-identity-refused.
type Refused string

func (r Refused) Error() string { return string(r) }

// Key is one entry of the gateway's key set, as in the JSON.
type Key map[string]any

// Identity has the members of section 10: kind, request_id, context, and so on.
type Identity map[string]any

// Request is the request as it arrived. Headers are the pairs in the order in which they arrived.
type Request struct {
	Method, Target string
	Headers        [][2]string
	Body           []byte
	// Stream says that the service accepts bodies without a digest on this path.
	Stream bool
}

// Verifier verifies requests for one audience.
type Verifier struct {
	audience                      string
	public                        map[string]ed25519.PublicKey
	secrets                       map[string][]byte
	began, tolerance, maxLifetime int64
	mutex                         sync.Mutex
	nonces                        map[string]int64
}

// New creates a verifier. began is the Unix second in which its nonce memory starts; secrets maps keyids to HMAC
// secrets.
func New(audience string, keys []Key, secrets map[string][]byte, began, tolerance, maxLifetime int64) (*Verifier, error) {
	count := countKids(keys)
	public := signingKeys(keys)
	usable := map[string][]byte{}
	for keyid, secret := range secrets {
		if len(secret) < 32 {
			return nil, errors.New("a secret needs 32 bytes or more")
		}
		if isPublished(keyid, secretKeyid(secret)) {
			return nil, errors.New("a secret is published")
		}
		delete(public, keyid)
		if count[keyid] == 0 {
			usable[keyid] = secret
		}
	}
	return &Verifier{audience: audience, public: public, secrets: usable, began: began, tolerance: tolerance,
		maxLifetime: maxLifetime, nonces: map[string]int64{}}, nil
}

// Verify returns the identity, or a Refused. now is in Unix seconds.
func (v *Verifier) Verify(request Request, now int64) (Identity, error) {
	path, query, err := splitTarget(request.Method, request.Target)
	if err != nil {
		return nil, err
	}
	found, err := readHeaders(request.Headers)
	if err != nil {
		return nil, err
	}
	given, err := readSignature(found, "countersign-v1")
	if err != nil {
		return nil, err
	}
	identity, names, err := readIdentity(found)
	if err != nil {
		return nil, err
	}
	if _, upgrades := found["upgrade"]; upgrades && request.Method != "GET" {
		return nil, Refused("header_malformed")
	}
	components := append([]string{"@method", "@path", "@query"}, names...)
	if given.list != listOf(components) {
		return nil, Refused("coverage_insufficient")
	}
	if found["x-identity-audience"] != v.audience {
		return nil, Refused("audience_mismatch")
	}
	if err := v.checkTimes(given, now); err != nil {
		return nil, err
	}
	_, isChunked := found["transfer-encoding"]
	length, hasLength := found["content-length"]
	if err := checkBody(request, found, isChunked || hasLength && length != "0"); err != nil {
		return nil, err
	}
	base := signatureBase(components, found, request.Method, path, query, given.raw)
	if err := v.checkSignature(given, base); err != nil {
		return nil, err
	}
	if len(request.Body) > 0 {
		if err := checkBody(request, found, true); err != nil {
			return nil, err
		}
	}
	if given, isCovered := found["content-digest"]; isCovered && given != digestOf(request.Body) {
		return nil, Refused("content_digest_mismatch")
	}
	return identity, v.claim(given, now)
}

func (v *Verifier) checkTimes(given signature, now int64) error {
	lifetime := given.expires - given.created
	switch {
	case lifetime <= 0 || lifetime > v.maxLifetime:
		return Refused("lifetime_invalid")
	case given.created > now+v.tolerance:
		return Refused("created_in_future")
	case now > given.expires+v.tolerance:
		return Refused("expired")
	}
	return nil
}

func listOf(components []string) string { return `("` + strings.Join(components, `" "`) + `")` }

func signatureBase(components []string, found map[string]string, method, path, query, raw string) []byte {
	if query == "" {
		query = "?"
	}
	own := map[string]string{"@method": method, "@path": path, "@query": query}
	var base strings.Builder
	for _, name := range components {
		value, isOwn := own[name]
		if !isOwn {
			value = found[name]
		}
		base.WriteString(`"` + name + `": ` + value + "\n")
	}
	base.WriteString(`"@signature-params": ` + raw)
	return []byte(base.String())
}

func (v *Verifier) checkSignature(given signature, base []byte) error {
	// The algorithm comes from the key. The parameter only has to match it.
	if public, isKnown := v.public[given.keyid]; isKnown {
		if given.alg != "ed25519" {
			return Refused("algorithm_mismatch")
		}
		if !ed25519.Verify(public, base, given.bytes) {
			return Refused("signature_invalid")
		}
		return nil
	}
	secret, isKnown := v.secrets[given.keyid]
	if !isKnown {
		return Refused("key_unknown")
	}
	if given.alg != "hmac-sha256" {
		return Refused("algorithm_mismatch")
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(base)
	if subtle.ConstantTimeCompare(mac.Sum(nil), given.bytes) != 1 {
		return Refused("signature_invalid")
	}
	return nil
}

func (v *Verifier) claim(given signature, now int64) error {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if given.created < v.began {
		return Refused("created_before_start")
	}
	for nonce, until := range v.nonces {
		if until < now {
			delete(v.nonces, nonce)
		}
	}
	if _, isUsed := v.nonces[given.nonce]; isUsed {
		return Refused("replayed")
	}
	v.nonces[given.nonce] = given.expires + 3*v.tolerance
	return nil
}

func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// checkBody implements section 6.
func checkBody(request Request, found map[string]string, hasBody bool) error {
	encoding, isEncoded := found["content-encoding"]
	if _, isCovered := found["content-digest"]; isCovered {
		if hasBody && isEncoded && !strings.EqualFold(encoding, "identity") {
			return Refused("header_malformed")
		}
		return nil
	}
	isPlain := request.Method == "GET" || request.Method == "HEAD"
	if !request.Stream && (hasBody || !isPlain) {
		return Refused("content_digest_missing")
	}
	return nil
}

// IsExempt reports whether a request needs no identity.
func IsExempt(method, target string) bool {
	path, _, _ := strings.Cut(target, "?")
	isOpen := slices.Contains([]string{"/healthz", "/readyz", "/metrics"}, path) || len(path) <= 256 && wellKnown.MatchString(path)
	return (method == "GET" || method == "HEAD") && isOpen
}

// WithoutIdentity returns the headers that the handler of an exempt request may see.
func WithoutIdentity(headers [][2]string) [][2]string {
	kept := [][2]string{}
	for _, header := range headers {
		if isIdentity, _ := isIdentityHeader(header[0]); !isIdentity {
			kept = append(kept, header)
		}
	}
	return kept
}

func number(text string) int64 {
	value, _ := strconv.ParseInt(text, 10, 64)
	return value
}
