namespace Dbt.Xen.Grants;

/// <content>The other side: which grants of others this domain has mapped (Xen's maptrack). A handle is an index here.</content>
public sealed unsafe partial class GrantTable
{
    private const int MappingsPerFrame = 256;

    private readonly Lock _mappingLock = new();
    private readonly List<Mapping> _mappings = [];
    private readonly Stack<uint> _freeHandles = new();
    private readonly Dictionary<uint, int> _foreignFrames = [];
    private volatile int _foreignCount;

    /// <summary>Whether this domain has mapped any frame of another's through a grant. Any thread.</summary>
    internal bool MapsAnyForeign => _foreignCount != 0;

    /// <summary>What <see cref="HighestMapFrames"/> is where nobody says otherwise, and the most it can be.</summary>
    public const int MaxMapFrames = 1024;

    /// <summary>How many grants of others this domain can map, in frames of 256 as Xen counts them (max_maptrack_frames).</summary>
    public int HighestMapFrames { get; set; } = MaxMapFrames;

    /// <summary>Whether this domain has mapped a frame of another's through a grant. Any thread.</summary>
    internal bool MapsForeign(uint mfn)
    {
        if (_foreignCount == 0)
        {
            return false;
        }

        lock (_mappingLock)
        {
            return _foreignFrames.ContainsKey(mfn);
        }
    }

    /// <summary>Remembers a mapping that is about to be made.</summary>
    /// <returns>False where there are too many.</returns>
    internal bool TryTrack(in Mapping mapping, out uint handle)
    {
        uint mfn = mapping.Mfn;
        lock (_mappingLock)
        {
            if (_freeHandles.TryPop(out handle))
            {
                _mappings[(int)handle] = mapping;
            }
            else if (_mappings.Count < HighestMapFrames * MappingsPerFrame)
            {
                handle = (uint)_mappings.Count;
                _mappings.Add(mapping);
            }
            else
            {
                return false;
            }

            _foreignFrames[mfn] = _foreignFrames.GetValueOrDefault(mfn) + 1;
            _foreignCount = _foreignFrames.Count;
            return true;
        }
    }

    /// <summary>The mapping of a handle; false for one that isn't in use.</summary>
    internal bool TryGetMapping(uint handle, out Mapping mapping)
    {
        lock (_mappingLock)
        {
            mapping = handle < _mappings.Count ? _mappings[(int)handle] : default;
            return mapping.Flags != 0;
        }
    }

    /// <summary>Takes a kind of mapping (HostMap or DeviceMap) from a handle; the handle is free with the last. One caller gets each.</summary>
    /// <returns>False where the handle doesn't have it, or is another mapping's by now.</returns>
    internal bool TryUntrack(uint handle, in Mapping expected, uint kind)
    {
        uint mfn = expected.Mfn;
        lock (_mappingLock)
        {
            if (handle >= _mappings.Count || _mappings[(int)handle] is not { Flags: not 0 } mapping
                || mapping with { Flags = 0 } != expected with { Flags = 0 } || (mapping.Flags & kind) == 0)
            {
                return false;
            }

            uint left = mapping.Flags & ~kind;
            bool last = (left & (GrantMap.HostMap | GrantMap.DeviceMap)) == 0;
            _mappings[(int)handle] = last ? default : mapping with { Flags = left };
            if (!last)
            {
                return true;
            }

            _freeHandles.Push(handle);
            int count = _foreignFrames[mfn] - 1;
            if (count == 0)
            {
                _foreignFrames.Remove(mfn);
            }
            else
            {
                _foreignFrames[mfn] = count;
            }

            _foreignCount = _foreignFrames.Count;
            return true;
        }
    }

    /// <summary>
    /// The domain ends: lets go of all grants of others. Pages mapped by an L1 entry are given back with the page tables; device
    /// mappings, which have no entry, here.
    /// </summary>
    internal void ReleaseMappings()
    {
        for (uint handle = 0; handle < _mappings.Count; handle++)
        {
            if (!TryGetMapping(handle, out Mapping mapping))
            {
                continue;
            }

            bool writable = (mapping.Flags & GrantMap.ReadOnly) == 0;
            if (TryUntrack(handle, mapping, GrantMap.HostMap))
            {
                mapping.Remote!.Unpin(mapping.Reference, writable);
            }

            if (TryUntrack(handle, mapping, GrantMap.DeviceMap))
            {
                mapping.Remote!.Release(mapping.Reference, writable);
            }
        }
    }

    /// <summary>A mapping: GNTMAP_ flags (0: none), whose grant, which, and the page.</summary>
    internal record struct Mapping(uint Flags, GrantTable? Remote, uint Reference, uint Mfn);
}
