package identity

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// Kind is a kind of caller.
type Kind string

// The kinds of callers.
const (
	// KindUser is a person in one tenant. The gateway checked the token; the service decides what the user may do.
	KindUser Kind = "user"
	// KindClient is a machine with a token of its own.
	KindClient Kind = "client"
	// KindAnonymous is an unknown caller on a public route.
	KindAnonymous Kind = "anonymous"
	// KindService is another service that calls through the gateway: for a user, for a client, or for itself.
	KindService Kind = "service"
	// KindGateway is the gateway itself.
	KindGateway Kind = "gateway"
)

// Identity is the caller of one request, as the gateway signed it. Do not modify it.
type Identity struct {
	Kind      Kind
	RequestID string
	// User is the caller of KindUser, and the user for whom a KindService acts. Otherwise it is nil.
	User *User
	// Client is the caller of KindClient, and the client for which a KindService acts. Otherwise it is nil.
	Client *Client
	// ServiceID names the caller of KindService.
	ServiceID string
	// TxnToken is opaque. A [Transport] sends it back on nested calls. It is empty if there is none.
	TxnToken string
	Context  Context
	// Claims are those that gateway.yaml copies into identity tokens. They are nil without a token.
	Claims map[string]any
}

// User is a user of one tenant.
type User struct{ ID, Role, TenantID string }

// Client is an OAuth client with a token of its own. Role and TenantID are empty where the gateway knows none.
type Client struct{ ID, Role, TenantID string }

// Context is what else the gateway knows about the caller. Every member may be absent: its zero value.
type Context struct {
	// IP is the client's address.
	IP string
	// Issuer is the issuer of the caller's token.
	Issuer string
	// Session is the login session.
	Session string
	// AuthTime is when the user last logged in.
	AuthTime time.Time
	// AuthMethods is how the user logged in (RFC 8176).
	AuthMethods []string
	// KeyThumbprint is that of the client's DPoP key (RFC 9449).
	KeyThumbprint string
	// Client is the application through which a user came.
	Client string
	// Scopes and Roles are those of the token that gateway.yaml names.
	Scopes, Roles []string
	// Actor acts for the caller, such as an AI agent for a user (RFC 8693 section 4.1). It is nil if the caller acts for itself.
	Actor *Actor
}

// Actor is identified by both its members.
type Actor struct{ Subject, Issuer string }

type (
	verifiedKey struct{} // The identity of a verified request.
	allowedKey  struct{} // The same, after a guard accepted it.
)

// FromContext returns the caller of the request, once a guard accepted it: [Require], [RequireRole] or [RequireScope].
// Without one it returns false, so that a handler never mistakes a machine or an unknown caller for a user.
func FromContext(ctx context.Context) (*Identity, bool) {
	id, ok := ctx.Value(allowedKey{}).(*Identity)
	return id, ok
}

func withIdentity(r *http.Request, key any, id *Identity) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), key, id))
}

// RefusedError is why a request carries no valid identity: a string such as "expired", one of the reasons of
// docs/identity-contract.md, section 7. The answer is 401, and its x-identity-refused has the reason.
type RefusedError = wire.Refused

// The refusals of a [ReplayStore].
const (
	// ErrReplayed means that the nonce was claimed before.
	ErrReplayed RefusedError = "replayed"
	// ErrCreatedBeforeStart means that the store cannot know whether the nonce was claimed: the request was created
	// before the store began.
	ErrCreatedBeforeStart RefusedError = "created_before_start"
)

// UnavailableError is why a request cannot be checked. The answer is 503, and its x-identity-unavailable has the reason.
type UnavailableError string

func (e UnavailableError) Error() string { return "identity unavailable: " + string(e) }

const (
	// ErrKeysUnavailable means that the gateway's keys cannot be fetched.
	ErrKeysUnavailable UnavailableError = "keys_unavailable"
	// ErrReplayUnavailable means that the memory of nonces is full or gone.
	ErrReplayUnavailable UnavailableError = "replay_unavailable"
)

var errBodyTooLarge = errors.New("identity: the request body is too large")

// newIdentity reads an identity from checked headers. It returns nil if the context is malformed.
func newIdentity(h wire.Headers) *Identity {
	id := &Identity{
		Kind: Kind(h["x-identity"]), RequestID: h["x-request-id"], ServiceID: h["x-service-id"], TxnToken: h["txn-token"],
	}
	switch {
	case h.Has("x-client-id"):
		id.Client = &Client{h["x-client-id"], h["x-user-role"], h["x-tenant-id"]}
	case h.Has("x-user-id"):
		id.User = &User{h["x-user-id"], h["x-user-role"], h["x-tenant-id"]}
	}
	if !id.Context.parse(h["x-identity-context"]) {
		return nil
	}
	return id
}

const quoted = `"[ !#-\[\]-~]*"`

var (
	// A string has no escapes, so it ends at the next quote.
	contextMember = regexp.MustCompile(`^ *([a-z-]+)=(` + quoted + `(?:;iss=` + quoted + `)?|0|[1-9][0-9]{0,9}|` +
		`\( *` + quoted + `(?: +` + quoted + `)* *\)) *(,|$)`)
	contextString = regexp.MustCompile(quoted)
)

// parse reads x-identity-context: section 5.
func (c *Context) parse(text string) bool {
	seen := make([]string, 0, 16)
	for isMore := text != ""; isMore; {
		member := contextMember.FindStringSubmatch(text)
		if member == nil || slices.Contains(seen, member[1]) || !c.set(member[1], member[2]) {
			return false
		}
		seen = append(seen, member[1])
		text, isMore = text[len(member[0]):], member[3] == ","
	}
	return true
}

// set sets a member, and reports whether it is valid.
func (c *Context) set(name, raw string) bool {
	texts := contextString.FindAllString(raw, -1)
	for i, text := range texts {
		texts[i] = strings.Trim(text, `"`)
	}
	one := func(member *string, fits func(string) bool) bool {
		*member = strings.Trim(raw, `"`)
		return raw[0] == '"' && len(texts) == 1 && fits(*member)
	}
	list := func(member *[]string, most int, fits func(string) bool) bool {
		*member = texts
		return raw[0] == '(' && len(texts) <= most && !slices.ContainsFunc(texts, func(text string) bool { return !fits(text) })
	}
	switch name {
	case "ip":
		return one(&c.IP, wire.IsAddress)
	case "iss":
		return one(&c.Issuer, wire.IsIssuer)
	case "sid":
		return one(&c.Session, wire.IsID)
	case "jkt":
		return one(&c.KeyThumbprint, wire.IsThumbprint)
	case "client":
		return one(&c.Client, wire.IsID)
	case "auth-time":
		seconds, err := strconv.ParseInt(raw, 10, 64)
		c.AuthTime = time.Unix(seconds, 0)
		return err == nil
	case "amr":
		return list(&c.AuthMethods, 16, wire.IsAuthMethod)
	case "scope":
		return list(&c.Scopes, 64, wire.IsScope) && areDistinct(texts)
	case "roles":
		return list(&c.Roles, 64, wire.IsRole) && areDistinct(texts)
	case "act":
		if raw[0] == '"' && len(texts) == 2 {
			c.Actor = &Actor{texts[0], texts[1]}
			return wire.IsSubject(texts[0]) && wire.IsIssuer(texts[1])
		}
	}
	return false
}

func areDistinct(items []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(items)))) == len(items)
}
