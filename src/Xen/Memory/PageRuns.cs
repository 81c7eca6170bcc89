namespace Dbt.Xen.Memory;

/// <summary>
/// Numbers of pages in rising order, as runs of those that follow one another. In arrays of plain numbers: a list of structures is code that isn't there
/// before it is first needed, and these are needed while a guest is held.
/// </summary>
/// <param name="longest">Most pages of a run; what is longer is several.</param>
internal sealed class PageRuns(uint longest)
{
    private uint[] _first = new uint[64];
    private uint[] _length = new uint[64];

    /// <summary>Number of runs.</summary>
    public int Count { get; private set; }

    /// <summary>Number of pages.</summary>
    public ulong Total { get; private set; }

    /// <summary>The number of a run's first page.</summary>
    public uint First(int run) => _first[run];

    /// <summary>How many pages a run has.</summary>
    public uint Length(int run) => _length[run];

    /// <summary>The number behind a run's last page.</summary>
    public uint End(int run) => _first[run] + _length[run];

    /// <summary>Adds a page, whose number is above all before.</summary>
    public void Add(uint number)
    {
        int last = Count - 1;
        if (last >= 0 && _first[last] + _length[last] == number && _length[last] < longest)
        {
            _length[last]++;
            Total++;
        }
        else
        {
            Append(number, 1);
        }
    }

    /// <summary>Adds a run as it is.</summary>
    /// <returns>False where it isn't behind all before, or has numbers that are none.</returns>
    public bool TryAdd(uint first, uint length)
    {
        if ((Count != 0 && first < End(Count - 1)) || first > uint.MaxValue - length)
        {
            return false;
        }

        Append(first, length);
        return true;
    }

    private void Append(uint first, uint length)
    {
        if (Count == _first.Length)
        {
            Array.Resize(ref _first, 2 * Count);
            Array.Resize(ref _length, 2 * Count);
        }

        _first[Count] = first;
        _length[Count] = length;
        Count++;
        Total += length;
    }
}
