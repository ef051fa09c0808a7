package wire

import (
	"bytes"
	"slices"
	"strings"
)

// Refused is why a request carries no valid identity: the value of x-identity-refused.
type Refused string

func (r Refused) Error() string { return "identity refused: " + string(r) }

// kinds are the values of x-identity, in the order of rule.present.
var kinds = []string{"user", "client", "anonymous", "service", "gateway"}

// rule is about one header.
type rule struct {
	name string
	// isOwn is whether only the gateway writes it.
	isOwn bool
	// present has one letter for each kind of caller: r for required, o for optional, - for never, u for required where a
	// service acts for a user. It is empty for a header that no signature covers.
	present string
	fits    func(string) bool
}

// rules are in the order in which a signature covers the headers.
var rules = []*rule{
	{"x-request-id", true, "rrrrr", IsUUIDv7},
	{"x-identity", true, "rrrrr", IsID},
	{"x-identity-audience", true, "rrrrr", IsID},
	{"x-identity-context", true, "rrrrr", func(s string) bool { return len(s) <= 2048 }},
	{"x-service-id", true, "---r-", IsID},
	{"x-client-id", true, "-r-o-", IsID},
	{"x-user-id", true, "r--u-", IsID},
	{"x-user-role", true, "ro-u-", IsRole},
	{"x-tenant-id", true, "ro-u-", IsID},
	{"txn-token", true, "oo-o-", func(s string) bool { return len(s) <= 4096 && isTxnToken(s) }},
	{"content-type", false, "ooooo", func(s string) bool { return len(s) <= 1024 && isContentType(s) }},
	{"content-digest", true, "ooooo", isDigest},
	{"upgrade", false, "ooooo", isProtocol},
	{"sec-websocket-key", false, "ooooo", isWebSocketKey},
	{name: "signature-input", isOwn: true},
	{name: "signature", isOwn: true},
	{name: "content-encoding"},
	{name: "content-length"},
	{name: "transfer-encoding"},
}

var rulesByName = func() map[string]*rule {
	all := make(map[string]*rule, len(rules))
	for _, rule := range rules {
		all[rule.name] = rule
	}
	return all
}()

// findRule returns the rule for a header's name. Without one, isIdentity is whether an application could read the name
// as that of an identity header, and isAlias whether it has another form than those.
func findRule(name string) (found *rule, isIdentity, isAlias bool) {
	var buffer [64]byte // Longer than any name of the contract.
	folded := buffer[:copy(buffer[:], name)]
	for i, b := range folded {
		if 'A' <= b && b <= 'Z' {
			folded[i] += 'a' - 'A'
		}
	}
	if found = rulesByName[string(folded)]; found != nil {
		return found, found.isOwn, false
	}
	for i, b := range folded {
		if b != '-' && (b < 'a' || b > 'z') && (b < '0' || b > '9') {
			folded[i], isAlias = '-', true
		}
	}
	like := rulesByName[string(folded)]
	isIdentity = like != nil && like.isOwn
	for _, prefix := range [...]string{"x-identity", "x-user", "x-tenant", "x-service"} {
		isIdentity = isIdentity || bytes.HasPrefix(folded, []byte(prefix))
	}
	return nil, isIdentity, isAlias
}

// IsIdentityHeader reports whether a header is an identity header, or an alias of one.
func IsIdentityHeader(name string) bool {
	_, isIdentity, _ := findRule(name)
	return isIdentity
}

// Headers are the values of the headers that have a rule, by name.
type Headers map[string]string

// Has reports whether the header is present. An empty value is a value.
func (h Headers) Has(name string) bool {
	_, ok := h[name]
	return ok
}

// ReadHeaders reads header lines, in their order: row 2 of section 7.
func ReadHeaders(lines [][2]string) (Headers, error) {
	if len(lines) > 256 {
		return nil, Refused("header_malformed")
	}
	h := make(Headers, len(rules))
	for _, line := range lines {
		switch found, isIdentity, isAlias := findRule(line[0]); {
		case found != nil && h.Has(found.name):
			return nil, Refused("header_duplicated")
		case found != nil:
			h[found.name] = strings.Trim(line[1], " \t")
		case isIdentity && isAlias:
			return nil, Refused("header_alias")
		case isIdentity:
			return nil, Refused("coverage_insufficient")
		}
	}
	if h.Has("content-length") && (h.Has("transfer-encoding") || !isDigits(h["content-length"])) {
		return nil, Refused("header_malformed")
	}
	return h, nil
}

// HasBody reports whether the headers say that there is a body.
func (h Headers) HasBody() bool {
	return h.Has("transfer-encoding") || h.Has("content-length") && h["content-length"] != "0"
}

// Check checks the headers of an identity against the contract's table, and returns the names of those that its
// signature must cover: row 4 of section 7, without the context's members.
func (h Headers) Check() (covered []string, err error) {
	kind := slices.Index(kinds, h["x-identity"])
	if kind < 0 && h.Has("x-identity") {
		return nil, Refused("header_malformed")
	} else if kind < 0 {
		return nil, Refused("header_missing")
	}
	for _, rule := range rules {
		if rule.present == "" || rule.name == "content-type" && !h.Has("content-digest") {
			continue
		}
		has, present := h.Has(rule.name), h.present(rule, kind)
		switch {
		case !has && present == 'r':
			return nil, Refused("header_missing")
		case has && present == '-':
			return nil, Refused("coverage_insufficient")
		case has && !rule.fits(h[rule.name]):
			return nil, Refused("header_malformed")
		case has:
			covered = append(covered, rule.name)
		}
	}
	return covered, nil
}

// present returns the letter of a rule. Some depend on other headers.
func (h Headers) present(rule *rule, kind int) byte {
	present := rule.present[kind]
	switch {
	case rule.name == "sec-websocket-key" && h.Has("upgrade"):
		return 'r'
	case rule.name == "sec-websocket-key":
		return '-'
	case present == 'u' && h.Has("x-client-id"):
		return rule.present[1] // That of a client.
	case present == 'u' && (h.Has("x-user-id") || h.Has("x-user-role") || h.Has("x-tenant-id")):
		return 'r'
	}
	return present
}

// CheckCall is Check for a nested call.
func (h Headers) CheckCall() (covered []string, err error) {
	for _, name := range []string{"x-identity-audience", "txn-token", "content-type", "content-digest"} {
		switch {
		case h.Has(name) && !rulesByName[name].fits(h[name]):
			return nil, Refused("header_malformed")
		case h.Has(name):
			covered = append(covered, name)
		case name == "x-identity-audience":
			return nil, Refused("header_missing")
		case name == "content-digest":
			return nil, Refused("content_digest_missing")
		}
	}
	return covered, nil
}
