using System.Reflection.Emit;

namespace Dbt.Translator.Emit.Spans;

/// <summary>Accesses at constant distances from one another, which are checked together where the first is made.</summary>
internal sealed class Span(SymbolicAddress address, int size, bool write)
{
    /// <summary>What their addresses have in common.</summary>
    public SpanKey Key { get; } = address.Key;

    /// <summary>Lowest offset accessed.</summary>
    public int Low { get; private set; } = address.Offset;

    /// <summary>Behind the highest offset accessed. Not modulo 2^32: offsets that are near one another only around 2^31 are in spans of their own.</summary>
    public long High { get; private set; } = (long)address.Offset + size;

    /// <summary>Whether any access writes: all are checked for writing then.</summary>
    public bool Write { get; private set; } = write;

    /// <summary>Whether it is a part of a function's frame.</summary>
    public bool OnStack { get; } = address.OnStack;

    /// <summary>How many accesses.</summary>
    public int Accesses { get; private set; } = 1;

    /// <summary>Bytes from the lowest to behind the highest.</summary>
    public int Length => (int)(High - Low);

    /// <summary>Host address of the lowest byte, once it has been checked.</summary>
    public LocalBuilder? Host { get; set; }

    /// <summary>EIP of the instruction at which that is.</summary>
    public uint CheckedAt { get; set; }

    /// <summary>Whether an access needs no check of its own behind this one's.</summary>
    public bool Covers(in SymbolicAddress access, int size, bool write) =>
        access.Key == Key && access.Offset >= Low && (long)access.Offset + size <= High && (Write || !write);

    /// <summary>Takes an access in, if that does not make it longer than allowed.</summary>
    public bool TryAdd(in SymbolicAddress access, int size, bool write, int most)
    {
        int low = Math.Min(Low, access.Offset);
        long high = Math.Max(High, (long)access.Offset + size);
        if (access.Key != Key || high - low > most)
        {
            return false;
        }

        Low = low;
        High = high;
        Write |= write;
        Accesses++;
        return true;
    }
}
