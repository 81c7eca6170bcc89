using Dbt.Translator.Emit;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Tests.Translator.Emission;

/// <summary>Finds and emits code of a small ring-3 program as the engines do: regions along branches, and blocks for themselves. Nothing of it runs.</summary>
internal sealed unsafe class SnippetTranslator : IDisposable
{
    /// <summary>The tiers by the names that texts give them.</summary>
    public static readonly EmitTarget Quick = new(Optimize: false, Link: true, Counts: false), Optimised = new(Optimize: true, Link: true, Counts: false);

    private const ushort ThreadSegment = 0x4B;
    private const uint Outside = 0x20000;

    private readonly TestPlatform _platform = new();
    private readonly RegionBuilder _builder;
    private uint _start, _end;

    public SnippetTranslator()
    {
        // A thread's own data, as libraries reach it: a flat segment whose base isn't 0.
        _platform.Gdt[ThreadSegment >> 3] = 0x00CFF3100000FFFF;
        _platform.LoadSegment(SegmentIndex.Gs, ThreadSegment);
        _builder = new RegionBuilder(_platform.Cpu, _ => { }, nativeFloatingPoint: true);
    }

    /// <summary>Places a snippet, and a jump behind it that leaves.</summary>
    public void Place(Snippet snippet)
    {
        uint end = _platform.Assemble(snippet.Address, a =>
        {
            snippet.Code(a);
            a.jmp(Outside);
        });
        Place(snippet.Address, new ReadOnlySpan<byte>(_platform.Memory + snippet.Address, (int)(end - snippet.Address)).ToArray());
    }

    /// <summary>Places code, of which regions may take in all.</summary>
    public void Place(uint address, ReadOnlySpan<byte> code)
    {
        (_start, _end) = (address, address + (uint)code.Length);
        _platform.Write(address, code);
        for (uint page = _start & ~0xFFFu; page < _end; page += 0x1000)
        {
            Assert.True(_platform.TryResolve(_platform.Cpu, page, MemoryAccess.Execute, user: true, out _, out _));
        }
    }

    /// <summary>The region from an entry on, as the optimised engine would have it if all had run.</summary>
    public Region? RegionAt(uint entry, int most, int[] jumpTargets) =>
        _builder.BuildRegion(entry, _platform.Cpu->Mode, most, (eip, _) => eip >= _start && eip < _end, _ => AddressesOf(jumpTargets));

    /// <summary>The block at an entry, as the quick tier would have it; null where its first instruction is the interpreter's.</summary>
    public Region? BlockAt(uint entry) => _builder.BuildBlock(entry, _platform.Cpu->Mode);

    /// <summary>Where what was placed ends.</summary>
    public uint End => _end;

    public void Dispose() => _platform.Dispose();

    private List<uint> AddressesOf(int[] places)
    {
        var addresses = new List<uint>();
        var decoder = Decoder.Create(32, new ReadOnlySpan<byte>(_platform.Memory + _start, (int)(_end - _start)).ToArray(), _start);
        while (decoder.IP < _end)
        {
            addresses.Add((uint)decoder.IP);
            decoder.Decode();
        }

        return [.. places.Select(place => addresses[place])];
    }
}
