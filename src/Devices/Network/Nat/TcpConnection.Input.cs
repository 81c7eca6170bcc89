using System.Net.Sockets;

namespace Dbt.Devices.Network.Nat;

/// <content>From the guest: acknowledgements, data, the end of it.</content>
internal sealed partial class TcpConnection
{
    private const int MostWindow = 512 << 10, WindowScale = 4, MostRanges = 8, AcknowledgeDelay = 10;

    // A sender's congestion window begins small, and grows with each acknowledgement: none of the first is held back.
    private const uint QuickBytes = 16 << 10;

    private readonly ByteRing _receive;

    // What came ahead of its turn is in the ring behind the gap that these tell of: first byte and end, in order.
    private readonly List<(uint Start, uint End)> _ahead = [];

    private readonly NatTimer _delayed;

    private uint _rcvNxt, _rcvEdge, _rcvFirst, _acknowledged;
    private bool _scaling, _acknowledge, _guestEnded, _hostShut;
    private uint? _finAt;

    private void TakeSynOptions(in TcpSegment syn)
    {
        (int segmentSize, int scale) = syn.ReadSynOptions();
        int most = _link.Mtu - TcpSegment.HeaderSize - (Key.Guest.IsV4 ? 20 : 40);
        _mss = Math.Clamp(segmentSize < 0 ? 536 : segmentSize, Math.Min(88, most), most);
        _scaling = scale >= 0;
        _sndScale = Math.Max(scale, 0);
        _rcvNxt = _rcvEdge = _rcvFirst = _acknowledged = syn.Sequence + 1;
        _sndWnd = _largestWindow = syn.Window;
        _sndWl1 = syn.Sequence;
    }

    // The window to announce. Its edge never goes back (RFC 9293, 3.8.6), nor forward by a little.
    private ushort Announce(bool syn)
    {
        int scale = _scaling && !syn ? WindowScale : 0;
        uint most = _scaling ? (uint)MostWindow : ushort.MaxValue;
        uint free = most - Math.Min(most, (uint)_receive.Count);
        uint edge = _rcvNxt + free;
        if (Sequence.Before(_rcvEdge, edge) && edge - _rcvEdge >= Math.Min(most / 2, 2u * (uint)_mss))
        {
            _rcvEdge = edge;
        }

        // A SYN's window can't be scaled, so it tells less than there is.
        return (ushort)Math.Min((Sequence.Before(_rcvEdge, _rcvNxt) ? 0 : _rcvEdge - _rcvNxt) >> scale, ushort.MaxValue);
    }

    // The host took something: the guest is told where it waits for that.
    private void OpenWindow()
    {
        uint most = _scaling ? (uint)MostWindow : ushort.MaxValue, announced = _rcvEdge - _rcvNxt;
        uint free = most - Math.Min(most, (uint)_receive.Count);
        _acknowledge |= announced < most / 4 && free - announced >= most / 4;
    }

    /// <summary>Takes a segment of the guest.</summary>
    public void Input(in TcpSegment segment)
    {
        _heard = _stack.Now;
        switch (State)
        {
            case TcpState.Connecting:
                if (segment.Has(TcpFlags.Rst))
                {
                    Abort(tellGuest: false);
                }

                return; // a repeated SYN: the host hasn't decided yet
            case TcpState.SynSent:
                InputSynSent(segment);
                return;
            case TcpState.TimeWait:
                if (segment.Has(TcpFlags.Rst))
                {
                    Leave();
                }
                else if (segment.Length > 0)
                {
                    SendControl(TcpFlags.Ack, _sndNxt);
                }

                return;
            default:
                InputSynchronized(segment);
                return;
        }
    }

    private void InputSynSent(in TcpSegment segment)
    {
        bool acknowledges = segment.Has(TcpFlags.Ack);
        if (acknowledges && segment.Acknowledgement != _sndMax)
        {
            if (!segment.Has(TcpFlags.Rst))
            {
                _table.SendReset(Key, segment.Acknowledgement, 0, TcpFlags.Rst);
            }
        }
        else if (segment.Has(TcpFlags.Rst))
        {
            if (acknowledges)
            {
                Abort(tellGuest: false);
            }
        }
        else if (segment.Has(TcpFlags.Syn) && acknowledges)
        {
            TakeSynOptions(segment);
            Establish(segment);
            _acknowledge = true;
            _stack.Later(this);
        }
    }

    private void Establish(in TcpSegment segment)
    {
        State = TcpState.Established;
        MeasureRoundTrip(segment.Acknowledgement);
        _sndUna = segment.Acknowledgement;
        ResetTimeout();
        _timers.Cancel(_retransmit);
    }

    private void InputSynchronized(in TcpSegment segment)
    {
        // In the window at all? A little before it is a repetition, or a probe: it gets an answer.
        uint window = Sequence.Before(_rcvEdge, _rcvNxt) ? 0 : _rcvEdge - _rcvNxt, last = segment.Sequence + Math.Max(segment.Length, 1) - 1;
        bool begins = segment.Sequence - _rcvNxt < Math.Max(window, 1), ends = last - _rcvNxt < Math.Max(window, 1);
        bool around = Sequence.Before(segment.Sequence, _rcvNxt) && Sequence.AtOrAfter(last, _rcvNxt);
        if (!begins && !ends && !around)
        {
            if (State == TcpState.SynReceived && segment.Has(TcpFlags.Syn) && !segment.Has(TcpFlags.Rst))
            {
                SendSyn(); // it hasn't heard our answer
            }
            else if (!segment.Has(TcpFlags.Rst))
            {
                Owe();
                if (segment.Has(TcpFlags.Ack))
                {
                    TakeAcknowledgement(segment);
                }
            }

            return;
        }

        if (segment.Has(TcpFlags.Rst))
        {
            if (segment.Sequence == _rcvNxt)
            {
                Abort(tellGuest: false);
            }
            else
            {
                Owe(); // RFC 5961: only what fits exactly resets
            }

            return;
        }

        if (segment.Has(TcpFlags.Syn))
        {
            Owe();
            return;
        }

        if (!segment.Has(TcpFlags.Ack))
        {
            return;
        }

        if (State == TcpState.SynReceived)
        {
            if (segment.Acknowledgement != _sndMax)
            {
                _table.SendReset(Key, segment.Acknowledgement, 0, TcpFlags.Rst);
                return;
            }

            Establish(segment);
            _sndWl1 = segment.Sequence - 1;
            _stack.Later(this);
        }

        if (!TakeAcknowledgement(segment))
        {
            return;
        }

        TakeData(segment);
    }

    private void Owe()
    {
        _acknowledge = true;
        _stack.Later(this);
    }

    /// <returns>False where the connection is no more, or the segment is to be dropped.</returns>
    private bool TakeAcknowledgement(in TcpSegment segment)
    {
        uint acknowledged = segment.Acknowledgement;
        if (State != TcpState.Established)
        {
            return false;
        }

        if (Sequence.Before(_sndMax, acknowledged))
        {
            Owe();
            return false;
        }

        uint window = (uint)segment.Window << _sndScale;
        if (Sequence.Before(_sndUna, acknowledged))
        {
            Acknowledged(acknowledged);
        }
        else if (acknowledged == _sndUna && segment.Length == 0 && window == _sndWnd && HasUnacknowledged && ++_duplicates == 3 && !_recovering)
        {
            _recovering = true;
            _recover = _sndMax;
            RepeatFirst();
        }

        if (!HasUnacknowledged)
        {
            _repetitions = 0; // it answers our probes
        }

        if (Sequence.AtOrAfter(acknowledged, _sndUna)
            && (Sequence.Before(_sndWl1, segment.Sequence) || (_sndWl1 == segment.Sequence && Sequence.AtOrAfter(acknowledged, _sndWl2))))
        {
            if (_sndWnd == 0 && window > 0)
            {
                ResetTimeout();
                _timers.Cancel(_retransmit);
            }

            _sndWnd = window;
            _largestWindow = Math.Max(_largestWindow, window);
            (_sndWl1, _sndWl2) = (segment.Sequence, acknowledged);
        }

        CloseIfDone(guestWasLast: false);
        if (State != TcpState.Established)
        {
            return false;
        }

        _stack.Later(this);
        return true;
    }

    private void Acknowledged(uint acknowledged)
    {
        int count = (int)(acknowledged - _sndUna), data = Math.Min(count, _send.Count);
        _finAcknowledged = count > data;
        if (data > 0)
        {
            _send.Discard(data);
        }

        MeasureRoundTrip(acknowledged);
        _sndUna = acknowledged;
        if (Sequence.Before(_sndNxt, acknowledged))
        {
            _sndNxt = acknowledged;
        }

        _cwnd = (int)Math.Min((long)_cwnd + count, UnlimitedWindow);
        _cwnd = _cwnd > MostWindow ? UnlimitedWindow : _cwnd;
        _duplicates = 0;
        ResetTimeout();
        _timers.Cancel(_retransmit);
        if (_recovering)
        {
            _recovering = Sequence.Before(acknowledged, _recover);
            if (_recovering)
            {
                RepeatFirst(); // the next gap (RFC 6582)
            }
        }
    }

    private void TakeData(in TcpSegment segment)
    {
        ReadOnlySpan<byte> data = segment.Payload;
        uint start = segment.Sequence, end = start + (uint)data.Length;
        if (segment.Has(TcpFlags.Fin) && !Sequence.Before(_rcvEdge, end))
        {
            _finAt = end;
        }

        uint expected = _rcvNxt;
        if (Sequence.Before(start, _rcvNxt))
        {
            data = data[(int)Math.Min(_rcvNxt - start, (uint)data.Length)..];
            start = _rcvNxt;
        }

        uint room = Sequence.Before(_rcvEdge, start) ? 0 : _rcvEdge - start;
        data = data[..(int)Math.Min((uint)data.Length, room)];
        if (_guestEnded)
        {
            return;
        }

        if (start == _rcvNxt)
        {
            TakeInOrder(data);
        }
        else if (data.Length > 0)
        {
            StoreAhead(start, data);
        }

        if (State == TcpState.Established && _finAt == _rcvNxt)
        {
            _rcvNxt++;
            _guestEnded = true;
            PumpToHost();
        }

        if (segment.Length > 0 && State == TcpState.Established)
        {
            OweForData(inOrder: segment.Sequence == expected && segment.Length == _rcvNxt - expected);
        }
    }

    // RFC 9293, 3.8.6.3, with a shorter time: two full segments are acknowledged at once, less waits for more, or for an answer to go with. A
    // program that writes little at a time then makes full segments of it, as its TCP sends those without waiting.
    private void OweForData(bool inOrder)
    {
        if (!inOrder || _guestEnded || _ahead.Count > 0 || _rcvNxt - _acknowledged >= 2u * (uint)_mss || _acknowledged - _rcvFirst < QuickBytes)
        {
            _acknowledge = true;
        }
        else if (_delayed.Due == long.MaxValue)
        {
            _timers.Set(_delayed, _stack.Now + AcknowledgeDelay);
        }
    }

    private void DelayExpired()
    {
        _acknowledge = _rcvNxt != _acknowledged;
        SendPendingAcknowledgement();
    }

    private void TakeInOrder(ReadOnlySpan<byte> data)
    {
        // Straight to the host's socket where nothing waits before it.
        while (data.Length > 0 && _writable && _receive.Count == 0 && _ahead.Count == 0)
        {
            int sent = _host!.Send(data, SocketFlags.None, out SocketError error);
            if (error != SocketError.Success)
            {
                if (!TakeSendError(error))
                {
                    return;
                }

                break;
            }

            _rcvNxt += (uint)sent;
            data = data[sent..];
        }

        if (data.Length == 0)
        {
            return;
        }

        int stored = _receive.WriteAhead(0, data);
        _receive.Commit(stored);
        _rcvNxt += (uint)stored;

        // What came ahead may fit now.
        while (_ahead.Count > 0 && Sequence.AtOrAfter(_rcvNxt, _ahead[0].Start))
        {
            uint end = _ahead[0].End;
            _ahead.RemoveAt(0);
            if (Sequence.Before(_rcvNxt, end))
            {
                _receive.Commit((int)(end - _rcvNxt));
                _rcvNxt = end;
            }
        }
    }

    private void StoreAhead(uint start, ReadOnlySpan<byte> data)
    {
        int place = 0;
        while (place < _ahead.Count && Sequence.Before(_ahead[place].End, start))
        {
            place++;
        }

        bool touches = place < _ahead.Count && Sequence.AtOrAfter(start + (uint)data.Length, _ahead[place].Start);
        if (!touches && _ahead.Count >= MostRanges)
        {
            return; // the guest repeats it
        }

        int stored = _receive.WriteAhead((int)(start - _rcvNxt), data);
        uint end = start + (uint)stored;
        if (stored == 0)
        {
            return;
        }

        while (place < _ahead.Count && Sequence.AtOrAfter(end, _ahead[place].Start) && Sequence.AtOrAfter(_ahead[place].End, start))
        {
            start = Sequence.Before(start, _ahead[place].Start) ? start : _ahead[place].Start;
            end = Sequence.Before(end, _ahead[place].End) ? _ahead[place].End : end;
            _ahead.RemoveAt(place);
        }

        _ahead.Insert(place, (start, end));
    }
}
