package verifier

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile(`\A(?:` + pattern + `)\z`) }

var (
	id             = whole(`[A-Za-z0-9._~:@|-]{1,128}`)
	role           = whole(`[a-z0-9_-]{1,64}`)
	uuidV7         = whole(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	digest         = whole(`sha-256=:([A-Za-z0-9+/]{43}=):`)
	encoded        = whole(`countersign=:([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==):`)
	signatureInput = whole(`countersign=((\((?:"[a-z0-9@-]{1,64}"(?: "[a-z0-9@-]{1,64}")*)?\))` +
		`;created=(0|[1-9][0-9]{0,11});expires=(0|[1-9][0-9]{0,11})` +
		`;nonce="([A-Za-z0-9_-]{16,64})";keyid="([A-Za-z0-9._~:@|-]{1,128})"` +
		`;alg="([a-z0-9-]{1,32})";tag="([a-z0-9-]{1,64})")`)
	methodForm  = whole(`[A-Z]{1,20}(?:-[A-Z]{1,20})?`)
	pathForm    = whole(`/[A-Za-z0-9._~!$&'()*+,;=:@/\[\]%-]*`)
	queryForm   = whole(`(?:\?[A-Za-z0-9._~!$&()*+,;=:@/?\[\]%-]*)?`)
	dotSegment  = regexp.MustCompile(`\A/(?:;|%3[bB])|/(?:\.|%2[eE]){1,2}(?:/|;|%3[bB]|\z)`)
	wellKnown   = whole(`/\.well-known(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+`)
	txnToken    = whole(`[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}`)
	contentType = whole(`[!-~](?:[ -~]*[!-~])?`)
	protocol    = whole("[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,64}")
	socketKey   = whole(`[A-Za-z0-9+/]{22}==`)
	folded      = regexp.MustCompile(`[^a-z0-9]`)
)

// Presence of a header for one kind of identity.
const (
	forbidden = iota
	optional
	required
	allOrNone
)

type presence map[string]int

var kinds = []string{"user", "client", "anonymous", "service", "gateway"}

func every(how int) presence {
	all := presence{}
	for _, kind := range kinds {
		all[kind] = how
	}
	return all
}

type covered struct {
	name     string
	presence presence
	matches  func(string) bool
}

func isDigest(value string) bool {
	match := digest.FindStringSubmatch(value)
	return match != nil && canonical(match[1]) != nil
}

// Sections 2 and 3: the headers that a signature covers, in order, the kinds of identity that have them, and their
// grammar.
var coveredHeaders = func() []covered {
	ofUser := presence{"user": required, "service": allOrNone}
	ofUserOrClient := presence{"user": required, "client": optional, "service": allOrNone}
	return []covered{
		{"x-request-id", every(required), uuidV7.MatchString},
		{"x-identity", every(required), id.MatchString},
		{"x-identity-audience", every(required), id.MatchString},
		{"x-identity-context", every(required), func(value string) bool { return len(value) <= 2048 }},
		{"x-service-id", presence{"service": required}, id.MatchString},
		{"x-client-id", presence{"client": required, "service": optional}, id.MatchString},
		{"x-user-id", ofUser, id.MatchString},
		{"x-user-role", ofUserOrClient, role.MatchString},
		{"x-tenant-id", ofUserOrClient, id.MatchString},
		{"txn-token", presence{"user": optional, "client": optional, "service": optional},
			func(value string) bool { return len(value) <= 4096 && txnToken.MatchString(value) }},
		{"content-type", every(optional), func(value string) bool { return len(value) <= 1024 && contentType.MatchString(value) }},
		{"content-digest", every(optional), isDigest},
		{"upgrade", every(optional), protocol.MatchString},
		{"sec-websocket-key", every(optional), socketKey.MatchString},
	}
}()

var message = []string{"content-type", "upgrade", "sec-websocket-key"}
var contract, tracked = func() (map[string]bool, map[string]bool) {
	own, all := map[string]bool{"signature-input": true, "signature": true}, map[string]bool{}
	for _, header := range coveredHeaders {
		if !slices.Contains(message, header.name) {
			own[header.name] = true
		}
	}
	for name := range own {
		all[name] = true
	}
	for _, name := range append(message, "content-encoding", "content-length", "transfer-encoding") {
		all[name] = true
	}
	return own, all
}()

// isIdentityHeader reports whether only the gateway may write a header, and whether its name has the exact spelling.
func isIdentityHeader(name string) (isIdentity, isPlain bool) {
	head := strings.ToLower(name)
	head = head[:min(len(head), 64)]
	plain := folded.ReplaceAllString(head, "-")
	isIdentity = contract[plain]
	for _, prefix := range []string{"x-identity", "x-user", "x-tenant", "x-service"} {
		isIdentity = isIdentity || strings.HasPrefix(plain, prefix)
	}
	return isIdentity, head == plain
}

// canonical returns the bytes of base64 text, or nil if its unused bits are not zero.
func canonical(text string) []byte {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil
	}
	return raw
}

func splitTarget(method, target string) (path, query string, err error) {
	path, query = target, ""
	if at := strings.IndexByte(target, '?'); at >= 0 {
		path, query = target[:at], target[at:]
	}
	isGood := methodForm.MatchString(method) && pathForm.MatchString(path) && queryForm.MatchString(query) &&
		!strings.HasPrefix(path, "//") && !dotSegment.MatchString(path) && max(len(path), len(query)) <= 16384
	if !isGood {
		return "", "", Refused("target_malformed")
	}
	return path, query, nil
}

func readHeaders(headers [][2]string) (map[string]string, error) {
	if len(headers) > 256 {
		return nil, Refused("header_malformed")
	}
	found := map[string]string{}
	for _, header := range headers {
		lower := strings.ToLower(header[0])
		if tracked[lower] {
			if _, isThere := found[lower]; isThere {
				return nil, Refused("header_duplicated")
			}
			found[lower] = strings.Trim(header[1], " \t")
		} else if isIdentity, isPlain := isIdentityHeader(header[0]); isIdentity {
			if isPlain {
				return nil, Refused("coverage_insufficient")
			}
			return nil, Refused("header_alias")
		}
	}
	_, hasLength := found["content-length"]
	if _, isChunked := found["transfer-encoding"]; hasLength && isChunked {
		return nil, Refused("header_malformed")
	}
	return found, nil
}

type signature struct {
	raw, list, nonce, keyid, alg string
	created, expires             int64
	bytes                        []byte
}

func readSignature(found map[string]string, tag string) (signature, error) {
	input, hasInput := found["signature-input"]
	text, hasSignature := found["signature"]
	if !hasInput || !hasSignature {
		return signature{}, Refused("signature_missing")
	}
	given, value := signatureInput.FindStringSubmatch(input), encoded.FindStringSubmatch(text)
	if given == nil || value == nil || len(input) > 1024 || canonical(value[1]) == nil {
		return signature{}, Refused("signature_malformed")
	}
	if given[8] != tag {
		return signature{}, Refused("tag_mismatch")
	}
	return signature{raw: given[1], list: given[2], created: number(given[3]), expires: number(given[4]), nonce: given[5],
		keyid: given[6], alg: given[7], bytes: canonical(value[1])}, nil
}

// readIdentity returns the identity that the headers claim, and the names of the headers that a signature must cover.
func readIdentity(found map[string]string) (Identity, []string, error) {
	kind, isThere := found["x-identity"]
	if !isThere {
		return nil, nil, Refused("header_missing")
	}
	if !slices.Contains(kinds, kind) {
		return nil, nil, Refused("header_malformed")
	}
	has := func(name string) bool { _, isThere := found[name]; return isThere }
	hasClient := has("x-client-id")
	actsForUser := !hasClient && (has("x-user-id") || has("x-user-role") || has("x-tenant-id"))
	names := []string{}
	for _, header := range coveredHeaders {
		how := header.presence[kind]
		switch {
		case how == allOrNone && hasClient:
			how = header.presence["client"]
		case how == allOrNone && actsForUser:
			how = required
		case how == allOrNone:
			how = optional
		}
		if header.name == "sec-websocket-key" {
			how = forbidden
			if has("upgrade") {
				how = required
			}
		}
		if header.name == "content-type" && !has("content-digest") {
			continue
		}
		switch {
		case !has(header.name) && how == required:
			return nil, nil, Refused("header_missing")
		case !has(header.name):
			continue
		case how == forbidden:
			return nil, nil, Refused("coverage_insufficient")
		case !header.matches(found[header.name]):
			return nil, nil, Refused("header_malformed")
		}
		names = append(names, header.name)
	}
	context, err := parseContext(found["x-identity-context"])
	if err != nil {
		return nil, nil, err
	}
	return identityOf(kind, found, context), names, nil
}

var (
	userMembers   = map[string]string{"user_id": "x-user-id", "role": "x-user-role", "tenant_id": "x-tenant-id"}
	clientMembers = map[string]string{"client_id": "x-client-id", "role": "x-user-role", "tenant_id": "x-tenant-id"}
)

// addMembers adds the members whose headers are present.
func addMembers(to Identity, found, members map[string]string) Identity {
	for member, name := range members {
		if value, isThere := found[name]; isThere {
			to[member] = value
		}
	}
	return to
}

func identityOf(kind string, found map[string]string, context map[string]any) Identity {
	identity := Identity{"kind": kind, "request_id": found["x-request-id"], "context": context}
	switch kind {
	case "user":
		addMembers(identity, found, userMembers)
	case "client":
		addMembers(identity, found, clientMembers)
	case "service":
		identity["service_id"] = found["x-service-id"]
		if _, isThere := found["x-client-id"]; isThere {
			identity["client"] = addMembers(Identity{}, found, clientMembers)
		} else if _, isThere := found["x-user-id"]; isThere {
			identity["user"] = addMembers(Identity{}, found, userMembers)
		}
	}
	if token, isThere := found["txn-token"]; isThere {
		identity["txn_token"] = token
	}
	return identity
}
