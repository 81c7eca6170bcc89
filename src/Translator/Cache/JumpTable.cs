using System.Runtime.InteropServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>
/// Direct-mapped table from EIP and mode to a translation's function, in native memory: emitted code looks indirect branches
/// up in it. An entry counts only while the execute entry of its page is what it was. There is one for each kind of code: the runtime's methods, the host's own code, and that by the address window.
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
    /// <param name="windowed">Whether it goes by the address window; native code only.</param>
    public nint Address(bool native, bool windowed = false) => (nint)(_tables + (windowed ? 2 * TableBytes : native ? TableBytes : 0));

    /// <summary>Has the host commit the table of code that is the host's own, which most of what runs is.</summary>
    public void Commit() => HostMemory.Commit((byte*)Address(native: true), TableBytes);

    /// <summary>Enters a block that has a translation.</summary>
    public void Set(CodeBlock block)
    {
        if (block.Best is { } best && (block.Mode & CpuMode.Apart) == 0)
        {
            Entry* entry = At(block, best.Code!.IsNative);
            entry->Key = Key(block.Eip, block.Mode);
            entry->ExecuteEntry = block.ExecuteEntry;
            entry->Function = best.Function;
            entry->Instance = best.Instance;
        }
    }

    /// <summary>Removes a block, if it is in.</summary>
    public void Remove(CodeBlock block)
    {
        Remove(block, native: false);
        Remove(block, native: true);
    }

    /// <inheritdoc/>
    public void Dispose() => HostMemory.Release(_tables, Kinds * TableBytes);

    private void Remove(CodeBlock block, bool native)
    {
        Entry* entry = At(block, native);
        if (entry->Key == Key(block.Eip, block.Mode))
        {
            *entry = default;
        }
    }

    private static ulong Key(uint eip, CpuMode mode) => ((ulong)mode << 32) | eip;

    private Entry* At(CodeBlock block, bool native) =>
        (Entry*)Address(native, native && (block.Mode & CpuMode.Window) != 0) + ((block.Eip ^ (block.Eip >> HashShift)) & Mask);

    [StructLayout(LayoutKind.Sequential, Size = 1 << EntryShift)]
    private struct Entry
    {
        public ulong Key;
        public long ExecuteEntry;
        public nint Function;
        public nint Instance;
    }
}
