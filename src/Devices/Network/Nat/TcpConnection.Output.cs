using System.Buffers.Binary;

namespace Dbt.Devices.Network.Nat;

/// <content>Towards the guest: segments, their repetition, the window's probes.</content>
internal sealed partial class TcpConnection
{
    private const int LeastTimeout = 200, FirstTimeout = 1000, MostTimeout = 60_000, MostRepetitions = 12, SynTimeoutMost = 4000, SynRepetitions = 20;
    private const int UnlimitedWindow = 1 << 30;

    private readonly ByteRing _send;

    // Unacknowledged from; next; furthest so far. The ring begins at _sndUna. FIN comes right behind the ring's last byte.
    private uint _sndUna, _sndNxt, _sndMax;
    private uint _sndWnd, _sndWl1, _sndWl2, _largestWindow;
    private int _sndScale, _mss = 536, _cwnd = UnlimitedWindow;
    private bool _hostEnded, _finAcknowledged;

    private int _timeout = FirstTimeout, _repetitions, _duplicates, _smoothed = -1, _variance;
    private bool _recovering, _timing;
    private uint _recover, _timed;
    private long _timedAt;

    /// <summary>Sends what the guest's window allows, FIN behind the last of it, or else what is owed: an acknowledgement.</summary>
    private void Output()
    {
        while (State == TcpState.Established && !_link.IsBlocked)
        {
            int inFlight = (int)(_sndNxt - _sndUna), unsent = _send.Count - inFlight;
            if (unsent < 0 || (unsent == 0 && !_hostEnded) || _finAcknowledged)
            {
                break;
            }

            int length = (int)Math.Clamp(Math.Min(_sndWnd, _cwnd) - inFlight, 0, Math.Min(unsent, LargestSegment()));
            if (unsent > 0 && (length == 0 || (length < unsent && length < _mss && inFlight > 0 && length < _largestWindow / 2)))
            {
                break; // no silly windows: more room is on its way
            }

            if (!SendData(inFlight, ref length, ends: length == unsent))
            {
                break;
            }
        }

        SendPendingAcknowledgement();
        ArmTimer();
    }

    private void SendPendingAcknowledgement()
    {
        if (_acknowledge)
        {
            SendControl(TcpFlags.Ack, _sndNxt);
        }
    }

    // Of several segments' data where the guest cuts them; a multiple, so that no small one is left over.
    private int LargestSegment()
    {
        LinkFeatures features = _link.Features;
        bool whole = features.ChecksumBlank && (Key.Guest.IsV4 ? features.SegmentV4 : features.SegmentV6);
        int most = 65535 - 40 - TcpSegment.HeaderSize;
        return whole ? Math.Max(most / _mss, 1) * _mss : _mss;
    }

    private bool SendData(int offset, ref int length, bool ends)
    {
        if (length == 0)
        {
            // FIN alone.
            if (!SendControl(TcpFlags.Ack | TcpFlags.Fin, _sndNxt))
            {
                return false;
            }

            Advance(1);
            return true;
        }

        int wanted = length;
        (byte[] buffer, int place) = _send.Locate(offset, ref length);
        bool fin = ends && wanted == length && _hostEnded;
        TcpFlags flags = TcpFlags.Ack | (ends ? TcpFlags.Psh : 0) | (fin ? TcpFlags.Fin : 0);

        // The header goes where bytes are that were sent before, and may be needed again.
        Span<byte> before = buffer.AsSpan(place - BufferPool.Headroom, BufferPool.Headroom), saved = stackalloc byte[BufferPool.Headroom];
        before.CopyTo(saved);
        bool sent = Send(buffer, place, length, 0, flags, _sndUna + (uint)offset);
        saved.CopyTo(before);
        if (sent && _sndUna + (uint)offset == _sndNxt)
        {
            Advance((uint)length + (fin ? 1u : 0));
        }

        return sent;
    }

    private void Advance(uint count)
    {
        if (!_timing && _sndNxt == _sndMax)
        {
            _timing = true;
            _timed = _sndNxt;
            _timedAt = _stack.Now;
        }

        _sndNxt += count;
        if (Sequence.Before(_sndMax, _sndNxt))
        {
            _sndMax = _sndNxt;
        }
    }

    /// <summary>SYN, or SYN with acknowledgement, as the state asks.</summary>
    private void SendSyn()
    {
        byte[] buffer = _link.Buffer;
        bool scaled = State == TcpState.SynSent || _scaling;
        int options = scaled ? 8 : 4, place = GuestLink.PayloadOffset + TcpSegment.HeaderSize + options;
        Span<byte> bytes = buffer.AsSpan(place - options, options);
        BinaryPrimitives.WriteUInt16BigEndian(bytes, 0x0204);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], (ushort)(_link.Mtu - TcpSegment.HeaderSize - (Key.Guest.IsV4 ? 20 : 40)));
        if (scaled)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], 0x0103_0300 | WindowScale);
        }

        Send(buffer, place, 0, options, State == TcpState.SynSent ? TcpFlags.Syn : TcpFlags.Syn | TcpFlags.Ack, _sndUna);
        _sndNxt = _sndMax = _sndUna + 1;
        ArmTimer();
    }

    private bool SendControl(TcpFlags flags, uint sequence) =>
        Send(_link.Buffer, GuestLink.PayloadOffset + TcpSegment.HeaderSize, 0, 0, flags, sequence);

    /// <param name="buffer">Where data is, or would be.</param>
    /// <param name="place">Of the first byte of data; the options are before it already.</param>
    /// <param name="length">Bytes of data.</param>
    /// <param name="options">Bytes of options.</param>
    /// <param name="flags">What it is.</param>
    /// <param name="sequence">Of the first byte.</param>
    private bool Send(byte[] buffer, int place, int length, int options, TcpFlags flags, uint sequence)
    {
        int headerSize = TcpSegment.HeaderSize + options;
        bool acknowledges = (flags & TcpFlags.Ack) != 0;
        Span<byte> header = buffer.AsSpan(place - headerSize, TcpSegment.HeaderSize);
        BinaryPrimitives.WriteUInt16BigEndian(header, Key.RemotePort);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], Key.GuestPort);
        BinaryPrimitives.WriteUInt32BigEndian(header[4..], sequence);
        BinaryPrimitives.WriteUInt32BigEndian(header[8..], acknowledges ? _rcvNxt : 0);
        header[12] = (byte)(headerSize / 4 << 4);
        header[13] = (byte)flags;
        BinaryPrimitives.WriteUInt16BigEndian(header[14..], Announce((flags & TcpFlags.Syn) != 0));
        header[16..20].Clear();

        int size = headerSize + length;
        LinkFeatures features = _link.Features;
        ushort sum = PseudoHeader.Sum(Key.Remote, Key.Guest, IpProtocol.Tcp, size);
        if (features.ChecksumBlank)
        {
            BinaryPrimitives.WriteUInt16BigEndian(header[16..], sum);
        }
        else
        {
            PseudoHeader.Store(header[16..], buffer.AsSpan(place - headerSize, size), sum);
        }

        bool cut = length > _mss;
        SegmentationKind kind = !cut ? SegmentationKind.None : Key.Guest.IsV4 ? SegmentationKind.TcpV4 : SegmentationKind.TcpV6;
        var offload = new FrameOffload(features.ChecksumBlank, DataValidated: true, kind, cut ? (ushort)_mss : (ushort)0);
        if (!_link.SendIp(buffer, place - headerSize, size, Key.Remote, Key.Guest, IpProtocol.Tcp, offload))
        {
            _stack.WaitForRoom(this);
            return false;
        }

        if (acknowledges)
        {
            _acknowledge = false;
            _acknowledged = _rcvNxt;
            _delayed.Due = long.MaxValue; // the heap finds out
        }

        return true;
    }

    private bool HasUnacknowledged => _sndUna != _sndMax;

    // Something has to happen by itself: a repetition, a probe of a closed window, or another attempt at a link that was full.
    private void ArmTimer()
    {
        bool wanted = State is TcpState.SynReceived or TcpState.SynSent
            || (State == TcpState.Established && (HasUnacknowledged || _send.Count > 0 || (_hostEnded && !_finAcknowledged) || (_sndWnd == 0 && _readable)));
        if (!wanted)
        {
            _timers.Cancel(_retransmit);
        }
        else if (_retransmit.Due == long.MaxValue)
        {
            _timers.Set(_retransmit, _stack.Now + _timeout);
        }
    }

    private void RetransmitExpired()
    {
        bool handshake = State is TcpState.SynReceived or TcpState.SynSent;
        if (_link.IsBlocked && !handshake)
        {
            // Not the guest's silence: its card takes nothing.
            _stack.RoomAvailable();
        }
        else if (++_repetitions > (handshake ? SynRepetitions : MostRepetitions))
        {
            Abort(tellGuest: true);
            return;
        }

        _timeout = Math.Min(_timeout * 2, handshake ? SynTimeoutMost : MostTimeout);
        _timing = _recovering = false;
        _duplicates = 0;
        if (handshake)
        {
            SendSyn();
        }
        else if (HasUnacknowledged)
        {
            _sndNxt = _sndUna;
            _cwnd = 4 * _mss;
            Output();
        }
        else
        {
            SendControl(TcpFlags.Ack, _sndUna - 1);
            Pump();
        }

        ArmTimer();
    }

    // The oldest segment again; the rest is probably there.
    private void RepeatFirst()
    {
        _timing = false;
        int length = Math.Min(_mss, _send.Count);
        if (length == 0)
        {
            SendControl(TcpFlags.Ack | TcpFlags.Fin, _sndUna);
            return;
        }

        _ = SendData(0, ref length, ends: length == _send.Count);
    }

    private void MeasureRoundTrip(uint acknowledged)
    {
        if (!_timing || !Sequence.Before(_timed, acknowledged))
        {
            return;
        }

        // RFC 6298, milliseconds; the variance is kept four times.
        _timing = false;
        int sample = (int)Math.Clamp(_stack.Now - _timedAt, 0, MostTimeout);
        if (_smoothed < 0)
        {
            (_smoothed, _variance) = (sample, sample / 2 * 4);
        }
        else
        {
            _variance += Math.Abs(_smoothed - sample) - (_variance / 4);
            _smoothed += (sample - _smoothed) / 8;
        }
    }

    private void ResetTimeout()
    {
        _repetitions = 0;
        _timeout = _smoothed < 0 ? FirstTimeout : Math.Clamp(_smoothed + Math.Max(_variance, 10), LeastTimeout, MostTimeout);
    }
}
