using System.Runtime.InteropServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>
/// Direct-mapped table from EIP and mode to a translation's function, in native memory: emitted code looks indirect branches
/// up in it. An entry counts only while the execute entry of its page is what it was.
/// </summary>
internal sealed unsafe class JumpTable : IDisposable
{
    /// <summary>The hash is (EIP ^ EIP >> HashShift) &amp; Mask.</summary>
    public const int HashShift = 12;

    /// <summary>Entries minus one.</summary>
    public const int Mask = 0x3FFF;

    /// <summary>Log2 of an entry's size.</summary>
    public const int EntryShift = 5;

    private readonly Entry* _entries = (Entry*)HostMemory.Reserve((Mask + 1) << EntryShift);

    /// <summary>Host address.</summary>
    public nint Address => (nint)_entries;

    /// <summary>Enters a block that has a function.</summary>
    public void Set(CodeBlock block)
    {
        if ((block.Mode & CpuMode.Apart) != 0)
        {
            return;
        }

        Entry* entry = At(block.Eip);
        entry->Key = Key(block.Eip, block.Mode);
        entry->ExecuteEntry = block.ExecuteEntry;
        entry->Function = block.Function;
    }

    /// <summary>Removes a block, if it is in.</summary>
    public void Remove(CodeBlock block)
    {
        Entry* entry = At(block.Eip);
        if (entry->Key == Key(block.Eip, block.Mode))
        {
            *entry = default;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => HostMemory.Release((byte*)_entries, (Mask + 1) << EntryShift);

    private static ulong Key(uint eip, CpuMode mode) => ((ulong)mode << 32) | eip;

    private Entry* At(uint eip) => _entries + ((eip ^ (eip >> HashShift)) & Mask);

    [StructLayout(LayoutKind.Sequential, Size = 1 << EntryShift)]
    private struct Entry
    {
        public ulong Key;
        public long ExecuteEntry;
        public nint Function;
    }
}
