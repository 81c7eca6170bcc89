using System.Net.Sockets;

namespace Dbt.Devices.Network.Nat;

/// <summary>Where a connection is.</summary>
internal enum TcpState
{
    /// <summary>The guest wants it; the host connects.</summary>
    Connecting,

    /// <summary>The host has it; the guest was told.</summary>
    SynReceived,

    /// <summary>The host has accepted it for the guest; the guest was asked.</summary>
    SynSent,

    /// <summary>Both sides have it. Each direction ends by itself.</summary>
    Established,

    /// <summary>Both directions have ended; the guest may not have heard our last acknowledgement.</summary>
    TimeWait,

    /// <summary>Gone.</summary>
    Closed,
}

/// <summary>
/// One TCP connection: towards the guest an end of TCP (RFC 9293) of our own, towards the host a socket. Bytes are acknowledged to the
/// guest when the host's socket has them or they are stored here, within the window that was announced; bytes of the host are read only as
/// the guest's window allows, so each side's pressure reaches the other. There is no congestion control, as the cable is memory: a frame
/// that finds no room is refused, not lost. What is lost nevertheless is found by duplicate acknowledgements or by time.
/// </summary>
internal sealed partial class TcpConnection : PollSource
{
    private const int KeepAliveIdle = 2 * 60 * 60 * 1000, KeepAliveInterval = 75_000, KeepAliveProbes = 9, TimeWaitLength = 3000;

    private readonly TcpTable _table;
    private readonly NatStack _stack;
    private readonly TimerQueue _timers;
    private readonly GuestLink _link;
    private readonly NatTimer _retransmit;
    private readonly NatTimer _idle;
    private Socket? _host;
    private bool _readable, _writable, _readEnds;
    private long _heard;
    private int _probes;

    /// <param name="table">Whose it is.</param>
    /// <param name="key">Both ends as the guest sees them.</param>
    /// <param name="host">The host's socket, not blocking.</param>
    public TcpConnection(TcpTable table, FlowKey key, Socket host)
    {
        _table = table;
        _stack = table.Stack;
        _timers = _stack.Timers;
        _link = _stack.Link;
        Key = key;
        _host = host;
        _send = new ByteRing(_stack.Pool);
        _receive = new ByteRing(_stack.Pool);
        _retransmit = new NatTimer(RetransmitExpired);
        _idle = new NatTimer(IdleExpired);
        _delayed = new NatTimer(DelayExpired);
        _sndUna = _sndNxt = _sndMax = (uint)Random.Shared.NextInt64();
        _heard = _stack.Now;
        _timers.Set(_idle, _heard + KeepAliveIdle);
    }

    /// <summary>Both ends as the guest sees them.</summary>
    public FlowKey Key { get; }

    /// <summary>Where it is.</summary>
    public TcpState State { get; private set; }

    /// <summary>Begins a connection that the guest asks for.</summary>
    /// <param name="syn">Its first segment.</param>
    /// <param name="error">What the host said to the attempt to connect: success or in progress.</param>
    public void Open(in TcpSegment syn, SocketError error)
    {
        TakeSynOptions(syn);
        State = TcpState.Connecting;
        if (error == SocketError.Success)
        {
            HostConnected();
        }
    }

    /// <summary>Begins a connection that the host has accepted.</summary>
    public void Offer()
    {
        State = TcpState.SynSent;
        _readable = _writable = true;
        SendSyn();
    }

    /// <summary>Ends it at once: the host's side with a reset, the guest's too where it is to be told.</summary>
    public void Abort(bool tellGuest)
    {
        if (tellGuest && State is not (TcpState.TimeWait or TcpState.Closed))
        {
            _table.SendReset(Key, _sndNxt, _rcvNxt, State == TcpState.Connecting ? TcpFlags.Rst | TcpFlags.Ack : TcpFlags.Rst);
        }

        if (_host is Socket host)
        {
            _stack.Poller.Remove(this, host);
            HostSocket.Abort(host);
            _host = null;
        }

        Leave();
    }

    private void Leave()
    {
        State = TcpState.Closed;
        _send.Clear();
        _receive.Clear();
        _timers.Cancel(_retransmit);
        _timers.Cancel(_idle);
        _timers.Cancel(_delayed);
        _table.Remove(this);
    }

    // Both directions are done: the guest has our FIN, and the host everything that the guest sent.
    private void CloseIfDone(bool guestWasLast)
    {
        if (State != TcpState.Established || !_finAcknowledged || !_hostShut)
        {
            return;
        }

        if (_host is Socket host)
        {
            _stack.Poller.Remove(this, host);
            host.Dispose();
            _host = null;
        }

        if (!guestWasLast)
        {
            Leave();
            return;
        }

        State = TcpState.TimeWait;
        _send.Clear();
        _receive.Clear();
        _timers.Cancel(_retransmit);
        _timers.Cancel(_delayed);
        _acknowledge = true;
        _stack.Later(this);
        _timers.Set(_idle, _stack.Now + TimeWaitLength);
    }

    private void IdleExpired()
    {
        long now = _stack.Now, quiet = now - _heard;
        if (State == TcpState.TimeWait)
        {
            Leave();
        }
        else if (quiet < KeepAliveIdle)
        {
            _probes = 0;
            _timers.Set(_idle, _heard + KeepAliveIdle);
        }
        else if (_probes >= KeepAliveProbes)
        {
            Abort(tellGuest: true);
        }
        else
        {
            _probes++;
            SendControl(TcpFlags.Ack, _sndUna - 1);
            _timers.Set(_idle, now + KeepAliveInterval);
        }
    }
}
