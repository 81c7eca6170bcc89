using System.Runtime.InteropServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>
/// Direct-mapped table from EIP and mode to a translation's function, in native memory: emitted code looks indirect branches
/// up in it. An entry is a way (<see cref="Emit.InstanceLayout.WayGeneration"/>): the translation finds by it whether its pages are mapped as they were. There is one for the runtime's methods, one for the host's own code, and one for what a program runs that has an address window: code that
/// goes by it, and what there is only without.
/// </summary>
internal sealed unsafe class JumpTable : IDisposable
{
    /// <summary>The hash is (EIP ^ EIP >> HashShift) &amp; Mask.</summary>
    public const int HashShift = 12;

    /// <summary>Entries minus one.</summary>
    public const int Mask = 0xFFFF;

    /// <summary>Log2 of an entry's size.</summary>
    public const int EntryShift = 5;

    private const int TableBytes = (Mask + 1) << EntryShift;

    private const int Kinds = 3;

    private readonly byte* _tables = HostMemory.Reserve(Kinds * TableBytes);

    /// <summary>Host address of the table for one kind of code.</summary>
    /// <param name="native">See <see cref="CompiledCode.IsNative"/>.</param>
    /// <param name="windowed">Whether the program that runs has an address window; native code only.</param>
    public nint Address(bool native, bool windowed = false) => (nint)(_tables + (windowed ? 2 * TableBytes : native ? TableBytes : 0));

    /// <summary>The mode by which code of a mode is found.</summary>
    public static CpuMode KeyOf(CpuMode mode) => mode & ~CpuMode.Window;

    /// <summary>Has the host commit the table of code that is the host's own, which most of what runs is.</summary>
    public void Commit() => HostMemory.Commit((byte*)Address(native: true), TableBytes);

    /// <summary>Enters a block that has a translation.</summary>
    /// <param name="block">The block.</param>
    /// <param name="windowed">Also where code doesn't go by the window: for programs that have one, which is where code that does is entered in any case.</param>
    public void Set(CodeBlock block, bool windowed = false)
    {
        if (block.Best is { } best && (block.Mode & CpuMode.Apart) == 0)
        {
            bool native = best.Code!.IsNative;
            Entry* entry = At(block, native, native && (windowed || (block.Mode & CpuMode.Window) != 0));
            entry->Key = Key(block.Eip, block.Mode);
            entry->Generation = 0;
            entry->Function = best.Function;
            entry->Instance = best.Instance;
        }
    }

    /// <summary>Removes a block from wherever it is in.</summary>
    public void Remove(CodeBlock block)
    {
        Remove(At(block, native: true, windowed: true), block);
        if ((block.Mode & CpuMode.Window) == 0)
        {
            Remove(At(block, native: false), block);
            Remove(At(block, native: true), block);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => HostMemory.Release(_tables, Kinds * TableBytes);

    private static void Remove(Entry* entry, CodeBlock block)
    {
        if (entry->Key == Key(block.Eip, block.Mode))
        {
            *entry = default;
        }
    }

    // Who looks is of either kind, where both may be entered.
    private static ulong Key(uint eip, CpuMode mode) => ((ulong)KeyOf(mode) << 32) | eip;

    private Entry* At(CodeBlock block, bool native, bool windowed = false) => (Entry*)Address(native, windowed) + ((block.Eip ^ (block.Eip >> HashShift)) & Mask);

    [StructLayout(LayoutKind.Sequential, Size = 1 << EntryShift)]
    private struct Entry
    {
        public ulong Key;
        public long Generation;
        public nint Function;
        public nint Instance;
    }
}
