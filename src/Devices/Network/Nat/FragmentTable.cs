using System.Collections;

namespace Dbt.Devices.Network.Nat;

/// <summary>
/// Puts the guest's IPv4 fragments together: at most <see cref="Most"/> packets at a time, 30 s each (RFC 1122, 3.3.2, as Linux does it). A
/// packet whose fragments overlap is thrown away (RFC 5722's rule, which is as good here).
/// </summary>
internal sealed class FragmentTable
{
    /// <summary>Packets at a time.</summary>
    public const int Most = 16;

    private const int MostBytes = 65535 - 20, Lifetime = 30_000;
    private readonly Dictionary<Key, Entry> _entries = [];
    private readonly NatStack _stack;
    private readonly NatTimer _timer;
    private readonly byte[] _whole = new byte[MostBytes + 8];

    /// <param name="stack">The network.</param>
    public FragmentTable(NatStack stack)
    {
        _stack = stack;
        _timer = new NatTimer(DropOld);
    }

    /// <summary>Packets that wait for their other fragments.</summary>
    public int Count => _entries.Count;

    /// <summary>Takes a fragment.</summary>
    /// <param name="packet">The fragment; the whole packet where this was the last, valid until the next call.</param>
    public bool TryComplete(ref IpPacket packet)
    {
        int start = (packet.FragmentField & 0x1FFF) * 8, end = start + packet.Payload.Length;
        bool more = (packet.FragmentField & 0x2000) != 0;
        var key = new Key(packet.Source, packet.Destination, packet.Identification, packet.Protocol);
        if (end > MostBytes || packet.Payload.Length == 0 || (more && (end & 7) != 0))
        {
            _entries.Remove(key);
            return false;
        }

        if (!_entries.TryGetValue(key, out Entry? entry))
        {
            MakeRoom();
            entry = new Entry(_stack.Now + Lifetime);
            _entries.Add(key, entry);
            _stack.Timers.Set(_timer, _entries.Values.Min(e => e.Due));
        }

        if (!entry.Add(packet.Payload, start, more))
        {
            _entries.Remove(key);
            return false;
        }

        if (!entry.IsWhole)
        {
            return false;
        }

        _entries.Remove(key);
        int length = entry.CopyTo(_whole);
        packet = packet.WithPayload(_whole.AsSpan(0, length));
        return true;
    }

    private void MakeRoom()
    {
        if (_entries.Count >= Most)
        {
            _entries.Remove(_entries.MinBy(pair => pair.Value.Due).Key);
        }
    }

    private void DropOld()
    {
        long now = _stack.Now;
        foreach ((Key key, Entry entry) in _entries.ToArray())
        {
            if (entry.Due <= now)
            {
                _entries.Remove(key);
            }
        }

        if (_entries.Count > 0)
        {
            _stack.Timers.Set(_timer, _entries.Values.Min(e => e.Due));
        }
    }

    private readonly record struct Key(IpAddress Source, IpAddress Destination, ushort Identification, byte Protocol);

    private sealed class Entry(long due)
    {
        private readonly BitArray _have = new((MostBytes + 7) / 8);
        private byte[] _bytes = [];
        private int _blocks;
        private int _length = -1;

        public long Due => due;

        public bool IsWhole => _length >= 0 && _blocks == (_length + 7) / 8;

        public bool Add(ReadOnlySpan<byte> data, int start, bool more)
        {
            int end = start + data.Length;
            if ((!more && _length >= 0) || (_length >= 0 && end > _length) || (!more && end < _bytes.Length && HasBeyond(end)))
            {
                return false;
            }

            for (int block = start / 8; block < (end + 7) / 8; block++)
            {
                if (_have[block])
                {
                    return false;
                }

                _have[block] = true;
                _blocks++;
            }

            if (_bytes.Length < end)
            {
                Array.Resize(ref _bytes, Math.Min(Math.Max(end, _bytes.Length * 2), MostBytes + 8));
            }

            data.CopyTo(_bytes.AsSpan(start));
            _length = more ? _length : end;
            return true;
        }

        public int CopyTo(byte[] target)
        {
            _bytes.AsSpan(0, _length).CopyTo(target);
            return _length;
        }

        private bool HasBeyond(int end)
        {
            for (int block = (end + 7) / 8; block < _have.Length; block++)
            {
                if (_have[block])
                {
                    return true;
                }
            }

            return false;
        }
    }
}
