package identity

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestMemoryReplay(t *testing.T) {
	ctx := context.Background()
	claim := func(nonce string, created, now int64) Claim {
		return Claim{Audience: "my-service", Nonce: nonce, Created: created, KeepUntil: created + 45, Now: now}
	}
	t.Run("accepts a nonce once until it expires", func(t *testing.T) {
		m := newMemoryReplay(0)
		expect(t, "first", m.Claim(ctx, claim("n", 100, 100)), nil)
		expect(t, "again", m.Claim(ctx, claim("n", 100, 100)), error(ErrReplayed))
		expect(t, "in its last second", m.Claim(ctx, claim("n", 100, 145)), error(ErrReplayed))
		other := claim("n", 100, 100)
		other.Audience = "another"
		expect(t, "another audience", m.Claim(ctx, other), nil)
	})
	t.Run("forgets expired nonces", func(t *testing.T) {
		m := newMemoryReplay(0)
		for second := range int64(500) {
			expect(t, "claim", m.Claim(ctx, claim(fmt.Sprint(second), second, second)), nil)
		}
		if len(m.live) > 47 || len(m.expiring) > 47 {
			t.Errorf("%d nonces are live, in %d seconds", len(m.live), len(m.expiring))
		}
	})
	t.Run("refuses what was created before it began", func(t *testing.T) {
		m := newMemoryReplay(100)
		expect(t, "before", m.Claim(ctx, claim("n", 99, 100)), error(ErrCreatedBeforeStart))
		expect(t, "after", m.Claim(ctx, claim("n", 100, 100)), nil)
		m.GatewayAhead = 5 * time.Second
		expect(t, "with a clock ahead", m.Claim(ctx, claim("m", 104, 104)), error(ErrCreatedBeforeStart))
		expect(t, "later", m.Claim(ctx, claim("m", 105, 105)), nil)
	})
	t.Run("refuses what it may have forgotten, after the clock was set back", func(t *testing.T) {
		m := newMemoryReplay(0)
		expect(t, "claim", m.Claim(ctx, claim("n", 100, 100)), nil)
		expect(t, "later", m.Claim(ctx, claim("m", 200, 200)), nil)
		expect(t, "set back", m.Claim(ctx, claim("n", 100, 100)), error(ErrCreatedBeforeStart))
	})
	t.Run("is full without forgetting", func(t *testing.T) {
		m := newMemoryReplay(0)
		m.MaxNonces = 1
		expect(t, "claim", m.Claim(ctx, claim("n", 100, 100)), nil)
		if err := m.Claim(ctx, claim("m", 100, 100)); !errors.Is(err, ErrReplayUnavailable) {
			t.Errorf("full: got %v", err)
		}
		expect(t, "again", m.Claim(ctx, claim("n", 100, 100)), error(ErrReplayed))
		expect(t, "later", m.Claim(ctx, claim("m", 146, 146)), nil)
	})
	t.Run("begins at the next second", func(t *testing.T) {
		if began := NewMemoryReplay().Began(); began.Before(time.Now()) || time.Until(began) > time.Second {
			t.Errorf("began %v", began)
		}
	})
}
