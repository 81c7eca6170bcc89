namespace Dbt.Xen.Hypercalls;

/// <summary>Hypercalls of one processor: counts by number, and the last few for a crash report. Written by the processor's thread alone.</summary>
internal sealed class HypercallLog
{
    private const int Remembered = 16;

    private readonly long[] _counts = new long[Abi.Layout.MaxHypercalls];
    private readonly byte[] _last = new byte[Remembered];
    private int _next;

    /// <summary>Name of the last one, or null.</summary>
    public string? Last => _next == 0 ? null : HypercallNames.Of(_last[(_next - 1) % Remembered]);

    /// <summary>How many there were; approximate while the processor runs.</summary>
    public long Total
    {
        get
        {
            long total = 0;
            foreach (ref long count in _counts.AsSpan())
            {
                total += Volatile.Read(ref count);
            }

            return total;
        }
    }

    /// <summary>The last ones, oldest first.</summary>
    public IEnumerable<string> Recent
    {
        get
        {
            int end = _next;
            for (int i = Math.Max(0, end - Remembered); i < end; i++)
            {
                yield return HypercallNames.Of(_last[i % Remembered]);
            }
        }
    }

    /// <summary>Notes one; the number is below <see cref="Abi.Layout.MaxHypercalls"/>.</summary>
    public void Add(uint number)
    {
        _counts[number]++;
        _last[_next % Remembered] = (byte)number;
        _next = _next == int.MaxValue ? Remembered : _next + 1;
    }

    /// <summary>Adds its counts to others by name.</summary>
    public void AddTo(Dictionary<string, long> sums)
    {
        for (int number = 0; number < _counts.Length; number++)
        {
            long count = Volatile.Read(ref _counts[number]);
            if (count != 0)
            {
                string name = HypercallNames.Of(number);
                sums[name] = sums.GetValueOrDefault(name) + count;
            }
        }
    }

    /// <summary>The counts of several processors by name, those that were called.</summary>
    public static Dictionary<string, long> Sum(IEnumerable<HypercallLog> logs)
    {
        var sums = new Dictionary<string, long>();
        foreach (HypercallLog log in logs)
        {
            log.AddTo(sums);
        }

        return sums;
    }
}
