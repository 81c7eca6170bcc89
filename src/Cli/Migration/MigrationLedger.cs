namespace Dbt.Cli.Migration;

/// <summary>
/// Whose a domain is, on the side where it arrives: each migration is open, then committed or refused, once and for ever. The source asks here when it
/// lost the connection; an answer to an open one refuses it, so that both sides know the same. An id that was never heard of is refused as well: the
/// process that knew it is gone, and its domains with it. Any thread.
/// </summary>
internal sealed class MigrationLedger
{
    private readonly Lock _lock = new();
    private readonly Dictionary<(Guid Id, string Peer), State> _states = [];

    private enum State
    {
        Open,
        Refused,
        Committed,
    }

    /// <summary>A migration begins.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="peer">Who it is from: the certificate's fingerprint.</param>
    /// <returns>False where that id was used before.</returns>
    public bool TryBegin(Guid id, string peer)
    {
        lock (_lock)
        {
            return _states.TryAdd((id, peer), State.Open);
        }
    }

    /// <summary>The domain is here, if nobody has been told otherwise.</summary>
    public bool TryCommit(Guid id, string peer)
    {
        lock (_lock)
        {
            if (_states.GetValueOrDefault((id, peer), State.Refused) != State.Open)
            {
                return false;
            }

            _states[(id, peer)] = State.Committed;
            return true;
        }
    }

    /// <summary>An open migration will come to nothing.</summary>
    public void Refuse(Guid id, string peer)
    {
        lock (_lock)
        {
            if (_states.TryGetValue((id, peer), out State state) && state == State.Open)
            {
                _states[(id, peer)] = State.Refused;
            }
        }
    }

    /// <summary>A migration's connection has been dealt with. Only committed ones are to be remembered: all others are as if never heard of.</summary>
    public void End(Guid id, string peer)
    {
        lock (_lock)
        {
            if (_states.TryGetValue((id, peer), out State state) && state != State.Committed)
            {
                _states.Remove((id, peer));
            }
        }
    }

    /// <summary>Whether the domain is here; from now on that stays so.</summary>
    public bool Ask(Guid id, string peer)
    {
        Refuse(id, peer);
        lock (_lock)
        {
            return _states.GetValueOrDefault((id, peer), State.Refused) == State.Committed;
        }
    }
}
