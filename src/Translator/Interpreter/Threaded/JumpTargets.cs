using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>
/// Where computed jumps went last: the translator takes these places into the jump's region, so that the loop of a program that is itself an
/// interpreter stays in one. A ring of native memory a jump, which its op finds in the place of its links.
/// </summary>
internal sealed unsafe class JumpTargets : IDisposable
{
    /// <summary>Targets that are remembered of a jump.</summary>
    public const int Kept = 16;

    private const int RingWords = Kept + 1, SlabBytes = 1 << 16, MaxSlabs = 64;

    private readonly Dictionary<(nint Host, uint Eip), nint> _rings = [];
    private readonly List<nint> _slabs = [];
    private uint* _next, _end;
    private uint* _shared;

    /// <summary>The ring of a jump.</summary>
    /// <param name="host">Host address of the instruction.</param>
    /// <param name="eip">Its EIP.</param>
    public uint* Ring(byte* host, uint eip)
    {
        if (_rings.TryGetValue(((nint)host, eip), out nint known))
        {
            return (uint*)known;
        }

        uint* ring = Take();
        if (ring != _shared)
        {
            _rings.Add(((nint)host, eip), (nint)ring);
        }

        return ring;
    }

    /// <summary>Remembers where a jump goes.</summary>
    /// <param name="op">The jump's op.</param>
    /// <param name="target">EIP of the target.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Note(Op* op, uint target)
    {
        uint* ring = *(uint**)(op + 1);
        uint count = ring[Kept];
        ring[count % Kept] = target;
        ring[Kept] = count + 1;
    }

    /// <summary>The targets of a jump, the most frequent first; empty where it is not known.</summary>
    public List<uint> Of(nint host, uint eip)
    {
        if (!_rings.TryGetValue((host, eip), out nint known))
        {
            return [];
        }

        var ring = (uint*)known;
        var targets = new List<uint>(Kept);
        for (int i = 0; i < Math.Min(Kept, ring[Kept]); i++)
        {
            targets.Add(ring[i]);
        }

        return [.. targets.CountBy(target => target).OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key).Select(pair => pair.Key)];
    }

    /// <summary>Forgets all; no op of before may be run.</summary>
    public void Clear()
    {
        _rings.Clear();
        Release();
    }

    /// <inheritdoc/>
    public void Dispose() => Release();

    // With very many jumps the rest share one, which nobody asks for.
    private uint* Take()
    {
        if (_end - _next < RingWords)
        {
            if (_slabs.Count == MaxSlabs)
            {
                return _shared;
            }

            _slabs.Add((nint)HostMemory.Reserve(SlabBytes));
            _next = (uint*)_slabs[^1];
            _end = _next + (SlabBytes / sizeof(uint));
            if (_slabs.Count == 1)
            {
                _shared = _next;
                _next += RingWords;
            }
        }

        uint* taken = _next;
        _next += RingWords;
        new Span<uint>(taken, RingWords).Clear();
        return taken;
    }

    private void Release()
    {
        foreach (nint slab in _slabs)
        {
            HostMemory.Release((byte*)slab, SlabBytes);
        }

        _slabs.Clear();
        _next = _end = _shared = null;
    }
}
