using Dbt.Cli.Running;
using Dbt.Xen.Builder;
using Dbt.Xen.Diagnostics;

namespace Dbt.Perf;

/// <summary>The code of our own guest: what a C compiler makes for i386, always at hand, always the same.</summary>
/// <param name="Text">Its bytes.</param>
/// <param name="Functions">Where its functions begin, from the start of the bytes.</param>
internal sealed record GuestCode(byte[] Text, IReadOnlyList<uint> Functions)
{
    /// <summary>Takes it out of the embedded image.</summary>
    public static GuestCode Load()
    {
        byte[] file = EmbeddedGuest.Load();
        var elf = ElfImage.Parse(file);
        ElfSegment text = elf.Segments.Single(segment => (segment.Flags & ElfSegment.Executable) != 0);
        SymbolTable functions = SymbolTable.ReadKernel(file)!;
        IEnumerable<uint> starts = Enumerable.Range((int)text.VirtualAddress, (int)text.FileSize).Select(address => functions.Find((uint)address)?.Start)
            .OfType<uint>().Distinct();
        return new GuestCode(elf.Contents(text).ToArray(), [.. starts.Select(start => start - text.VirtualAddress)]);
    }
}
