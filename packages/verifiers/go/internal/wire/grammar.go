// Package wire implements the forms of docs/identity-contract.md: grammars, headers, and what a signature covers.
package wire

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// whole returns a function that reports whether a whole value fits a pattern.
func whole(pattern string) func(string) bool {
	return regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString
}

const idPattern = `[A-Za-z0-9._~:@|-]{1,128}`

// The grammars of the contract.
var (
	IsID         = whole(idPattern) // Of a user, a tenant, a service, a client, a session or a key.
	IsRole       = whole(`[a-z0-9_-]{1,64}`)
	IsUUIDv7     = whole(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	IsIssuer     = whole(`[!#-\[\]-~]{1,512}`)
	IsSubject    = whole(`[!#-\[\]-~]{1,255}`)
	IsScope      = whole(`[!#-\[\]-~]{1,128}`)
	IsAuthMethod = whole(`[A-Za-z0-9._:-]{1,64}`)
	IsThumbprint = whole(`[A-Za-z0-9_-]{43}`)

	IsKID   = whole(`[!-~]{1,256}`) // Of an entry of a key set.
	IsNonce = whole(`[A-Za-z0-9_-]{16,64}`)

	isTxnToken     = whole(`[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}`)
	isContentType  = whole(`[!-~](?:[ -~]*[!-~])?`)
	isProtocol     = whole("[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,64}")
	isWebSocketKey = whole(`[A-Za-z0-9+/]{22}==`)
	isDigits       = whole(`[0-9]+`)
	isMethod       = whole(`[A-Z]{1,20}(?:-[A-Z]{1,20})?`)
	isPath         = whole(`/(?:[A-Za-z0-9._~!$&'()*+,;=:@\[\]%-][A-Za-z0-9._~!$&'()*+,;=:@/\[\]%-]*)?`)
	isQuery        = whole(`(?:\?[A-Za-z0-9._~!$&()*+,;=:@/?\[\]%-]*)?`)
	isWellKnown    = whole(`/\.well-known(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+`)

	// A dot segment without its parameters, which servlet containers drop, or a first segment of parameters alone.
	dotSegment = regexp.MustCompile(`(?i)^/(?:;|%3b)|/(?:\.|%2e){1,2}(?:/|;|%3b|$)`)
)

// IsAddress reports whether text is an IP address without a zone.
func IsAddress(text string) bool {
	address, err := netip.ParseAddr(text)
	return err == nil && address.Zone() == ""
}

func isDigest(s string) bool {
	encoded, ok := between(s, "sha-256=:", ":")
	return ok && len(decode(base64.StdEncoding, encoded)) == sha256.Size
}

// Digest returns the content-digest of a body.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// Decode32 decodes 32 bytes of canonical base64url without padding.
func Decode32(s string) (value [32]byte, ok bool) {
	raw := decode(base64.RawURLEncoding, s)
	return value, copy(value[:], raw) == 32 && len(raw) == 32
}

// DecodeURL decodes canonical base64url without padding, or returns nil.
func DecodeURL(s string) []byte { return decode(base64.RawURLEncoding, s) }

// decode decodes canonical base64, or returns nil.
func decode(encoding *base64.Encoding, s string) []byte {
	raw, err := encoding.Strict().DecodeString(s)
	if err != nil || len(s) != encoding.EncodedLen(len(raw)) { // The decoder ignores line ends.
		return nil
	}
	return raw
}

// between returns the part of s between a prefix and a suffix.
func between(s, prefix, suffix string) (string, bool) {
	rest, begins := strings.CutPrefix(s, prefix)
	rest, ends := strings.CutSuffix(rest, suffix)
	return rest, begins && ends
}

// SplitTarget checks a method and a target, and splits it into path and query. The query has its question mark.
func SplitTarget(method, target string) (path, query string, err error) {
	path, _, _ = strings.Cut(target, "?")
	query = target[len(path):]
	if max(len(path), len(query)) > 16384 || !isMethod(method) || !isPath(path) || !isQuery(query) || dotSegment.MatchString(path) {
		return "", "", Refused("target_malformed")
	}
	return path, query, nil
}

// IsExempt reports whether a request needs no identity.
func IsExempt(method, target string) bool {
	path, _, _ := strings.Cut(target, "?")
	isOpen := path == "/healthz" || path == "/readyz" || path == "/metrics" || len(path) <= 256 && isWellKnown(path)
	return isOpen && (method == "GET" || method == "HEAD")
}

// NewNonce returns a nonce of 128 random bits.
func NewNonce() string {
	var nonce [16]byte
	rand.Read(nonce[:]) // Never fails.
	return base64.RawURLEncoding.EncodeToString(nonce[:])
}

// NewRequestID returns a UUIDv7 (RFC 9562 section 5.7).
func NewRequestID(now time.Time) string {
	var id [16]byte
	rand.Read(id[6:]) // Never fails.
	for i := range 6 {
		id[i] = byte(now.UnixMilli() >> (40 - 8*i))
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
