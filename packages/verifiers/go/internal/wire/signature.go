package wire

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The tags of the two kinds of signatures.
const (
	RequestTag = "countersign-v1"
	CallTag    = "countersign-service-v2"
)

var signatureInput = regexp.MustCompile(`^countersign=((\((?:"[a-z0-9@-]{1,64}"(?: "[a-z0-9@-]{1,64}")*)?\))` +
	`;created=(0|[1-9][0-9]{0,11});expires=(0|[1-9][0-9]{0,11});nonce="([A-Za-z0-9_-]{16,64})"` +
	`;keyid="(` + idPattern + `)";alg="([a-z0-9-]{1,32})";tag="([a-z0-9-]{1,64})")$`)

// Params are the parts of signature-input and signature.
type Params struct {
	// Raw is the value of `@signature-params`, and List the list of components in it.
	Raw, List               string
	Created, Expires        int64
	Nonce, KeyID, Algorithm string
	// Signature has 32 or 64 bytes.
	Signature []byte
}

// Params reads the two signature headers: row 3 of section 7.
func (h Headers) Params(tag string) (*Params, error) {
	if !h.Has("signature-input") || !h.Has("signature") {
		return nil, Refused("signature_missing")
	}
	input := h["signature-input"]
	match := signatureInput.FindStringSubmatch(input)
	encoded, ok := between(h["signature"], "countersign=:", ":")
	signature := decode(base64.StdEncoding, encoded)
	if match == nil || len(input) > 1024 || !ok || len(signature) != 32 && len(signature) != 64 {
		return nil, Refused("signature_malformed")
	}
	if match[8] != tag {
		return nil, Refused("tag_mismatch")
	}
	created, _ := strconv.ParseInt(match[3], 10, 64) // At most 12 digits.
	expires, _ := strconv.ParseInt(match[4], 10, 64)
	return &Params{match[1], match[2], created, expires, match[5], match[6], match[7], signature}, nil
}

// CheckTimes is row 7 of section 7, in Unix seconds and seconds.
func (p *Params) CheckTimes(now, tolerance, maxLifetime int64) error {
	switch lifetime := p.Expires - p.Created; {
	case lifetime <= 0 || lifetime > maxLifetime:
		return Refused("lifetime_invalid")
	case p.Created > now+tolerance:
		return Refused("created_in_future")
	case now > p.Expires+tolerance:
		return Refused("expired")
	}
	return nil
}

// List returns the list of components of a signature that covers these headers.
func List(covered []string) string {
	return `("@method" "@path" "@query" "` + strings.Join(covered, `" "`) + `")`
}

// Base returns a signature base (RFC 9421 section 2.5).
func (h Headers) Base(covered []string, method, path, query, raw string) []byte {
	base := make([]byte, 0, 1024)
	line := func(name, value string) {
		base = append(append(append(append(append(base, '"'), name...), `": `...), value...), '\n')
	}
	if query == "" {
		query = "?"
	}
	line("@method", method)
	line("@path", path)
	line("@query", query)
	for _, name := range covered {
		line(name, h[name])
	}
	return append(append(base, `"@signature-params": `...), raw...)
}

// Draft is what a signer chooses.
type Draft struct {
	Method, Target               string
	Created                      int64
	Nonce, KeyID, Algorithm, Tag string
}

// lifetime is that of a new signature, in seconds.
const lifetime = 30

// Sign sets both signature headers. sign signs the signature base.
func (h Headers) Sign(covered []string, d Draft, sign func(base []byte) []byte) error {
	path, query, err := SplitTarget(d.Method, d.Target)
	if err != nil {
		return err
	}
	raw := fmt.Sprintf(`%s;created=%d;expires=%d;nonce="%s";keyid="%s";alg="%s";tag="%s"`,
		List(covered), d.Created, d.Created+lifetime, d.Nonce, d.KeyID, d.Algorithm, d.Tag)
	signature := sign(h.Base(covered, d.Method, path, query, raw))
	h["signature-input"] = "countersign=" + raw
	h["signature"] = "countersign=:" + base64.StdEncoding.EncodeToString(signature) + ":"
	return nil
}

// MAC signs a signature base with a secret.
func MAC(secret, base []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write(base)
	return mac.Sum(nil)
}

// AgreedAlgorithm is the alg of keys for agreement.
const AgreedAlgorithm = "countersign-agreed-v1"

// SplitAgreedKeyID splits a keyid of the form that is reserved for agreed keys.
func SplitAgreedKeyID(keyid string) (gateway, service string, ok bool) {
	gateway, service, ok = strings.Cut(keyid, ".")
	return gateway, service, ok && IsThumbprint(gateway) && IsThumbprint(service)
}

// Thumbprint returns the kid of an X25519 key (RFC 7638).
func Thumbprint(x string) string {
	sum := sha256.Sum256([]byte(`{"crv":"X25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// AgreementJWK returns a public key as it is published.
func AgreementJWK(key *ecdh.PublicKey) map[string]string {
	x := base64.RawURLEncoding.EncodeToString(key.Bytes())
	return map[string]string{"kty": "OKP", "crv": "X25519", "use": "enc", "alg": AgreedAlgorithm, "kid": Thumbprint(x), "x": x}
}

// Agree derives the HMAC secret of a gateway and a service, from the private key of one and the public of the other.
func Agree(own *ecdh.PrivateKey, other, gateway, service *ecdh.PublicKey, audience string) ([]byte, error) {
	shared, err := own.ECDH(other) // Fails if all bytes are zero.
	if err != nil {
		return nil, err
	}
	info := "countersign-v1 agreed\x00" + string(gateway.Bytes()) + string(service.Bytes()) + audience
	return hkdf.Key(sha256.New, shared, nil, info, 32)
}
