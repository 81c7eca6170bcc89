using System.Collections.Concurrent;
using Dbt.Translator.Emit;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>
/// Compiled regions by what they are made from, for all processors and domains that are given the same store: whoever meets the bytes of one
/// takes its code over instead of compiling. What an engine throws away because its guest wrote to it stays here. Thread-safe.
/// </summary>
public sealed class CodeStore
{
    private const long DefaultCapacity = 64L << 20;

    // Regions at one EIP and mode: programs that are loaded at the same address. The rest is found by its key only.
    private const int MostAtOnePlace = 16;

    private readonly Lock _lock = new();
    private readonly Dictionary<byte[], StoredRegion> _regions = new(new KeyComparer());
    private readonly HashSet<byte[]> _claims = new(new KeyComparer());
    private readonly ConcurrentDictionary<(uint Eip, CpuMode Mode, int Options), StoredRegion[]> _places = new();
    private readonly long _capacity;
    private long _uses;
    private long _bytes;

    /// <summary>An empty store.</summary>
    public CodeStore()
        : this(DefaultCapacity)
    {
    }

    /// <summary>An empty store that holds so many bytes of code and of what it was made from.</summary>
    internal CodeStore(long capacity) => _capacity = capacity;

    /// <summary>Regions held.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _regions.Count;
            }
        }
    }

    /// <summary>Bytes held: code, and what it was made from.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Goes up with each region that was compiled for it.</summary>
    public long Additions { get; private set; }

    /// <summary>Regions that are entered at a place, those whose main entry it is first.</summary>
    internal StoredRegion[] At(uint eip, CpuMode mode, int options) => _places.GetValueOrDefault((eip, mode, options)) ?? [];

    /// <summary>The region made from exactly this; null where there is none.</summary>
    internal StoredRegion? Find(RegionShape shape)
    {
        lock (_lock)
        {
            return _regions.GetValueOrDefault(shape.Key);
        }
    }

    /// <summary>Asks for the right to compile a region.</summary>
    /// <returns>False where somebody compiles it already.</returns>
    internal bool TryClaim(RegionShape shape)
    {
        lock (_lock)
        {
            return _claims.Add(shape.Key);
        }
    }

    /// <summary>Ends a claim: it was compiled, or won't be.</summary>
    internal void Release(RegionShape shape)
    {
        lock (_lock)
        {
            _claims.Remove(shape.Key);
        }
    }

    /// <summary>Adds what was compiled.</summary>
    internal void Add(RegionShape shape, CompiledCode code, long nanoseconds)
    {
        lock (_lock)
        {
            Additions++;
            if (_regions.TryGetValue(shape.Key, out StoredRegion? known))
            {
                _bytes -= known.Bytes;
                known.Set(code);
                known.Nanoseconds = nanoseconds;
                _bytes += known.Bytes;
                MarkUsed(known);
                return;
            }

            var region = new StoredRegion(shape, nanoseconds);
            region.Set(code);
            Enter(region);
            MarkUsed(region);
        }
    }

    /// <summary>Adds a region from elsewhere, if there is none like it.</summary>
    internal void Add(StoredRegion region)
    {
        lock (_lock)
        {
            if (!_regions.ContainsKey(region.Shape.Key))
            {
                Enter(region);
            }
        }
    }

    /// <summary>Notes that an engine runs a region.</summary>
    internal void MarkUsed(StoredRegion region)
    {
        lock (_lock)
        {
            region.LastUse = ++_uses;
        }
    }

    /// <summary>All regions at this moment.</summary>
    internal StoredRegion[] Snapshot()
    {
        lock (_lock)
        {
            return [.. _regions.Values];
        }
    }

    private void Enter(StoredRegion region)
    {
        _regions.Add(region.Shape.Key, region);
        _bytes += region.Bytes;
        foreach (uint eip in region.Shape.Entries)
        {
            _places.AddOrUpdate(
                (eip, region.Shape.Mode, region.Shape.Options),
                _ => [region],
                (_, others) => eip == region.Shape.Entry ? [region, .. others.Take(MostAtOnePlace - 1)] : [.. others.Take(MostAtOnePlace - 1), region]);
        }

        if (_bytes > _capacity)
        {
            Shrink();
        }
    }

    /// <summary>Removes a quarter, of what was not used for longest. Who runs it goes on doing so.</summary>
    private void Shrink()
    {
        foreach (StoredRegion region in _regions.Values.OrderBy(region => region.LastUse).ToList())
        {
            if (_bytes <= _capacity / 4 * 3)
            {
                return;
            }

            _regions.Remove(region.Shape.Key);
            _bytes -= region.Bytes;
            foreach (uint eip in region.Shape.Entries)
            {
                (uint, CpuMode, int) place = (eip, region.Shape.Mode, region.Shape.Options);
                if (_places.TryGetValue(place, out StoredRegion[]? regions))
                {
                    StoredRegion[] rest = Array.FindAll(regions, other => other != region);
                    if (rest.Length == 0)
                    {
                        _places.TryRemove(place, out _);
                    }
                    else
                    {
                        _places[place] = rest;
                    }
                }
            }
        }
    }

    private sealed class KeyComparer : IEqualityComparer<byte[]>
    {
        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] key)
        {
            var hash = new HashCode();
            hash.AddBytes(key);
            return hash.ToHashCode();
        }
    }
}
