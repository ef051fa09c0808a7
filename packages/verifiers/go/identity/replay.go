package identity

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Claim is the one use of a nonce.
type Claim struct {
	// Audience has its own set of nonces, whatever key signed them.
	Audience, Nonce string
	// Created is when the request was signed, and KeepUntil the last second in which any instance of the service could
	// accept it, in Unix seconds. Now is the current second on the clock of the verifier.
	Created, KeepUntil, Now int64
	// IsRead reports whether the signed method is GET or HEAD, without an upgrade: messages of a WebSocket may write. A
	// store may decide about reads with less certainty.
	IsRead bool
}

// ReplayStore remembers nonces. All instances of a service share one.
type ReplayStore interface {
	// Claim returns nil once for each nonce, and [ErrReplayed] for every further claim until KeepUntil. If it cannot know
	// whether a nonce was claimed, it returns [ErrCreatedBeforeStart] or another error, which is answered 503.
	Claim(ctx context.Context, claim Claim) error
}

// MemoryReplay is a [ReplayStore] in memory, for a service with one instance. It begins at the next whole second and
// refuses requests created earlier, so a restart allows no replay while the gateway's clock is not ahead.
type MemoryReplay struct {
	// GatewayAhead is how far the gateway's clock may be ahead. Requests are refused for that much longer after a start.
	// Where gateway and service run on different machines, use the tolerance of the verifier, 5 s by default.
	GatewayAhead time.Duration
	// MaxNonces is how many nonces are remembered, about 150 bytes each. Further claims fail until some of them expire.
	MaxNonces int

	began int64

	mu       sync.Mutex
	live     map[nonce]struct{}
	expiring map[int64][]nonce // By the last second in which they are remembered.
	swept    int64
}

type nonce struct{ audience, value string }

// NewMemoryReplay returns an empty memory for 500,000 nonces that begins now.
func NewMemoryReplay() *MemoryReplay { return newMemoryReplay(time.Now().Unix() + 1) }

func newMemoryReplay(began int64) *MemoryReplay {
	return &MemoryReplay{
		MaxNonces: 500_000, began: began, live: make(map[nonce]struct{}), expiring: make(map[int64][]nonce),
	}
}

// Began is when the memory begins. A service should report that it is ready after this time.
func (m *MemoryReplay) Began() time.Time { return time.Unix(m.began, 0).Add(m.GatewayAhead) }

// Claim implements [ReplayStore].
func (m *MemoryReplay) Claim(_ context.Context, c Claim) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(c.Now)
	// If the clock was set back, the nonce may have been claimed and then removed.
	if c.Created < m.Began().Unix() || c.KeepUntil < m.swept {
		return ErrCreatedBeforeStart
	}
	key := nonce{c.Audience, c.Nonce}
	if _, isUsed := m.live[key]; isUsed {
		return ErrReplayed
	}
	if len(m.live) >= m.MaxNonces {
		return fmt.Errorf("%w: %d nonces are remembered", ErrReplayUnavailable, len(m.live))
	}
	key.value = strings.Clone(key.value) // It is a part of a larger header.
	m.live[key] = struct{}{}
	m.expiring[c.KeepUntil] = append(m.expiring[c.KeepUntil], key)
	return nil
}

// sweep removes expired nonces, once a second. Lifetimes are bounded, so there are about a hundred seconds to look at.
func (m *MemoryReplay) sweep(now int64) {
	if now <= m.swept {
		return
	}
	m.swept = now
	for until, nonces := range m.expiring {
		if until < now {
			for _, each := range nonces {
				delete(m.live, each)
			}
			delete(m.expiring, until)
		}
	}
}
