package verifier

import (
	"net/netip"
	"regexp"
	"strings"
)

const quoted = `"[ !#-\[\]-~]*"`

type list struct {
	matches  func(string) bool
	most     int
	distinct bool
}

var (
	contextString = regexp.MustCompile(`"([ !#-\[\]-~]*)"`)
	member        = regexp.MustCompile(`\A([a-z-]+)=(` + quoted + `(?:;iss=` + quoted + `)?|0|[1-9][0-9]{0,9}|` +
		`\( *` + quoted + `(?: +` + quoted + `)* *\))`)
	isIssuer     = whole(`[!#-\[\]-~]{1,512}`).MatchString
	isSubject    = whole(`[!#-\[\]-~]{1,255}`).MatchString
	contextForms = map[string]func(string) bool{
		"ip": func(value string) bool {
			_, err := netip.ParseAddr(value)
			return err == nil && !strings.Contains(value, "%")
		},
		"iss":    isIssuer,
		"sid":    id.MatchString,
		"jkt":    whole(`[A-Za-z0-9_-]{43}`).MatchString,
		"client": id.MatchString,
	}
	contextLists = map[string]list{
		"amr":   {whole(`[A-Za-z0-9._:-]{1,64}`).MatchString, 16, false},
		"scope": {whole(`[!#-\[\]-~]{1,128}`).MatchString, 64, true},
		"roles": {role.MatchString, 64, true},
	}
)

// parseContext implements section 5. Strings contain no escapes, so a quoted string ends at the next quote.
func parseContext(text string) (map[string]any, error) {
	context, rest := map[string]any{}, strings.Trim(text, " ")
	for rest != "" {
		match := member.FindStringSubmatch(rest)
		if match == nil {
			return nil, Refused("header_malformed")
		}
		name := strings.ReplaceAll(match[1], "-", "_")
		value, isGood := contextValue(match[1], match[2])
		if _, isTwice := context[name]; isTwice || !isGood {
			return nil, Refused("header_malformed")
		}
		context[name] = value
		rest = strings.TrimLeft(rest[len(match[0]):], " ")
		if rest == "" {
			break
		}
		if rest[0] != ',' {
			return nil, Refused("header_malformed")
		}
		rest = strings.TrimLeft(rest[1:], " ")
		if rest == "" {
			return nil, Refused("header_malformed")
		}
	}
	return context, nil
}

func contextValue(key, text string) (any, bool) {
	items := []string{}
	for _, item := range contextString.FindAllStringSubmatch(text, -1) {
		items = append(items, item[1])
	}
	isString, isList := text[0] == '"', text[0] == '('
	if matches, isKnown := contextForms[key]; isKnown {
		if !isString || len(items) != 1 || !matches(items[0]) {
			return nil, false
		}
		return items[0], true
	}
	if allowed, isKnown := contextLists[key]; isKnown {
		return items, isList && allowed.has(items)
	}
	switch key {
	case "auth-time":
		return number(text), !isString && !isList
	case "act":
		if !isString || len(items) != 2 || !isSubject(items[0]) || !isIssuer(items[1]) {
			return nil, false
		}
		return map[string]any{"sub": items[0], "iss": items[1]}, true
	}
	return nil, false
}

// has reports whether these may be the items of the list.
func (l list) has(items []string) bool {
	seen := map[string]bool{}
	for _, item := range items {
		if !l.matches(item) || l.distinct && seen[item] {
			return false
		}
		seen[item] = true
	}
	return len(items) <= l.most
}
