using System.Net.Sockets;

namespace Dbt.Devices.Network.Nat;

/// <content>The host's side.</content>
internal sealed partial class TcpConnection
{
    // What one connection may move before others get their turn.
    private const int TurnBytes = 1 << 20;

    /// <inheritdoc/>
    public override void Ready(PollEvents events)
    {
        if (State == TcpState.Connecting)
        {
            if ((events & (PollEvents.Writable | PollEvents.Error | PollEvents.HangUp)) != 0)
            {
                SocketError error = HostSocket.PendingError(_host!);
                if (error == SocketError.Success)
                {
                    HostConnected();
                }
                else
                {
                    HostRefused(error);
                }
            }

            return;
        }

        if (State == TcpState.SynSent && (events & (PollEvents.HangUp | PollEvents.Error)) != 0)
        {
            Abort(tellGuest: true);
            return;
        }

        const PollEvents ends = PollEvents.ReadHangUp | PollEvents.HangUp | PollEvents.Error;
        _readEnds |= (events & ends) != 0;
        _readable |= (events & (PollEvents.Readable | ends)) != 0;
        _writable |= (events & (PollEvents.Writable | PollEvents.HangUp | PollEvents.Error)) != 0;
        Pump();
    }

    /// <summary>Moves what can be moved, both ways.</summary>
    public void Pump()
    {
        if (State != TcpState.Established)
        {
            if (State is TcpState.SynReceived or TcpState.SynSent && _retransmit.Due == long.MaxValue)
            {
                SendSyn();
            }

            SendPendingAcknowledgement();
            return;
        }

        PumpToHost();
        if (State == TcpState.Established)
        {
            PumpFromHost();
        }

        if (State == TcpState.Established)
        {
            Output();
        }
    }

    private void HostConnected()
    {
        State = TcpState.SynReceived;
        _writable = _readable = true;
        SendSyn();
    }

    private void HostRefused(SocketError error)
    {
        bool unreachable = error is SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.TimedOut or SocketError.HostDown;
        if (unreachable)
        {
            _stack.Icmp.SendUnreachable(Key, IpProtocol.Tcp, _rcvNxt - 1, IcmpTable.CodeOf(error));
        }

        Abort(tellGuest: !unreachable);
    }

    private void HostFailed()
    {
        // ECONNRESET and kin: what the host's other side has not taken is lost, and the guest hears of it as it would without us.
        Abort(tellGuest: true);
    }

    private void PumpToHost()
    {
        bool moved = false;
        while (_writable && _receive.Count > 0)
        {
            int sent = _host!.Send(_receive.Peek(), SocketFlags.None, out SocketError error);
            if (error == SocketError.Success)
            {
                _receive.Discard(sent);
                moved = true;
            }
            else if (!TakeSendError(error))
            {
                return;
            }
        }

        if (_guestEnded && !_hostShut && _receive.Count == 0)
        {
            _hostShut = true;
            HostSocket.ShutdownSend(_host!);
            CloseIfDone(guestWasLast: true);
        }

        if (moved && State == TcpState.Established)
        {
            OpenWindow();
        }
    }

    /// <returns>False where the connection is no more.</returns>
    private bool TakeSendError(SocketError error)
    {
        _writable = false;
        if (error is SocketError.WouldBlock or SocketError.IOPending)
        {
            return true;
        }

        HostFailed();
        return false;
    }

    private void PumpFromHost()
    {
        for (int moved = 0; _readable && !_hostEnded && !_link.IsBlocked;)
        {
            int room = ReadableNow();
            if (room <= 0)
            {
                return;
            }

            if (moved >= TurnBytes)
            {
                _stack.Later(this);
                return;
            }

            Span<byte> space = _send.Reserve(room);
            if (space.IsEmpty)
            {
                return; // the next acknowledgement makes room
            }

            int count = _host!.Receive(space, SocketFlags.None, out SocketError error);
            if (error is SocketError.WouldBlock or SocketError.IOPending)
            {
                _readable = false;
                _send.ReleaseIfEmpty();
            }
            else if (error != SocketError.Success)
            {
                HostFailed();
                return;
            }
            else if (count == 0)
            {
                _hostEnded = true;
                _readable = false;
                _send.ReleaseIfEmpty();
            }
            else
            {
                _send.Commit(count);
                moved += count;

                // Less than was asked for is all there is, but for an end that was announced before.
                _readable = count == space.Length || _readEnds;
                Output();
            }
        }
    }

    // How much more the guest would take at once: it isn't read from the host before.
    private int ReadableNow()
    {
        long room = Math.Min(Math.Min(_sndWnd, _cwnd), MostWindow) - _send.Count;
        return room < _mss && _send.Count > 0 ? 0 : (int)Math.Min(room, 256 << 10);
    }
}
