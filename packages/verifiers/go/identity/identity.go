package identity

import (
	"context"
	"errors"
	"net/http"
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

// parse reads x-identity-context: section 5.
func (c *Context) parse(text string) bool {
	s := scanner{rest: strings.Trim(text, " ")}
	seen := make([]string, 0, 16)
	for isEnd := s.rest == ""; !isEnd && !s.isFailed; {
		name, rest, _ := strings.Cut(s.rest, "=")
		s.rest, s.isFailed = rest, slices.Contains(seen, name)
		seen = append(seen, name)
		c.parseMember(name, &s)
		s.spaces()
		if isEnd = s.rest == ""; !isEnd {
			s.literal(",")
			s.spaces()
		}
	}
	return !s.isFailed
}

func (c *Context) parseMember(name string, s *scanner) {
	switch name {
	case "ip":
		c.IP = s.quoted(wire.IsAddress)
	case "iss":
		c.Issuer = s.quoted(wire.IsIssuer)
	case "sid":
		c.Session = s.quoted(wire.IsID)
	case "jkt":
		c.KeyThumbprint = s.quoted(wire.IsThumbprint)
	case "client":
		c.Client = s.quoted(wire.IsID)
	case "auth-time":
		c.AuthTime = time.Unix(s.integer(10), 0)
	case "amr":
		c.AuthMethods = s.list(16, wire.IsAuthMethod)
	case "scope":
		c.Scopes = s.list(64, wire.IsScope)
		s.isFailed = s.isFailed || !areDistinct(c.Scopes)
	case "roles":
		c.Roles = s.list(64, wire.IsRole)
		s.isFailed = s.isFailed || !areDistinct(c.Roles)
	case "act":
		c.Actor = &Actor{Subject: s.quoted(wire.IsSubject)}
		s.literal(";iss=")
		c.Actor.Issuer = s.quoted(wire.IsIssuer)
	default:
		s.isFailed = true
	}
}

func areDistinct(items []string) bool {
	for i, item := range items {
		if slices.Contains(items[:i], item) {
			return false
		}
	}
	return true
}

// scanner reads text from left to right. Once it failed, what it returns is meaningless.
type scanner struct {
	rest     string
	isFailed bool
}

func (s *scanner) literal(text string) {
	rest, ok := strings.CutPrefix(s.rest, text)
	s.rest, s.isFailed = rest, s.isFailed || !ok
}

// spaces reads spaces, and returns how many.
func (s *scanner) spaces() int {
	before := len(s.rest)
	s.rest = strings.TrimLeft(s.rest, " ")
	return before - len(s.rest)
}

// integer reads an integer without leading zeros.
func (s *scanner) integer(mostDigits int) int64 {
	rest := strings.TrimLeft(s.rest, "0123456789")
	digits := s.rest[:len(s.rest)-len(rest)]
	value, err := strconv.ParseInt(digits, 10, 64)
	s.rest, s.isFailed = rest, s.isFailed || err != nil || len(digits) > mostDigits || digits[0] == '0' && digits != "0"
	return value
}

// quoted reads a string in quotes. It has no escapes.
func (s *scanner) quoted(fits func(string) bool) string {
	s.literal(`"`)
	text, rest, ok := strings.Cut(s.rest, `"`)
	s.rest, s.isFailed = rest, s.isFailed || !ok || !fits(text)
	return text
}

// list reads at least one string in parentheses.
func (s *scanner) list(most int, fits func(string) bool) (items []string) {
	s.literal("(")
	s.spaces()
	for !s.isFailed && len(items) < most {
		items = append(items, s.quoted(fits))
		isApart := s.spaces() > 0
		if strings.HasPrefix(s.rest, ")") {
			s.literal(")")
			return items
		}
		s.isFailed = s.isFailed || !isApart
	}
	s.isFailed = true
	return nil
}
