using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Dbt.Xen.Builder;

/// <summary>The page that a PV guest finds through ESI (public/xen.h, struct start_info, 32-bit).</summary>
internal sealed record StartInfo
{
    /// <summary>SIF_MOD_START_PFN: mod_start is a PFN.</summary>
    public const uint FlagModStartPfn = 8;

    /// <summary>MAX_GUEST_CMDLINE, with the terminator.</summary>
    public const int CommandLineBytes = 1024;

    private const string Magic = "xen-3.0-x86_32p";
    private const int PageCountAt = 32, CommandLineAt = 80;

    public required uint PageCount { get; init; }

    /// <summary>Machine address of shared_info.</summary>
    public required uint SharedInfoAddress { get; init; }

    public uint Flags { get; init; }

    public required uint StoreMfn { get; init; }

    public required uint StorePort { get; init; }

    public required uint ConsoleMfn { get; init; }

    public required uint ConsolePort { get; init; }

    public required uint PageTableAddress { get; init; }

    public required uint PageTableCount { get; init; }

    public required uint P2mAddress { get; init; }

    public uint ModuleStart { get; init; }

    public uint ModuleBytes { get; init; }

    public required byte[] CommandLine { get; init; }

    /// <summary>
    /// Writes what is another one in another domain to the page of a guest that goes on there: where shared_info, xenstore and console are, and that
    /// neither a module nor a privilege comes with it.
    /// </summary>
    public static void Renew(Span<byte> page, Domain domain)
    {
        ReadOnlySpan<uint> words = [domain.SharedInfoMfn << 12, 0, domain.StoreMfn, domain.StorePort, domain.ConsoleMfn, domain.ConsolePort];
        MemoryMarshal.AsBytes(words).CopyTo(page[(PageCountAt + sizeof(uint))..]);
    }

    /// <summary>Writes the structure to a zeroed page.</summary>
    public void Write(Span<byte> page)
    {
        Encoding.ASCII.GetBytes(Magic, page);
        ReadOnlySpan<uint> words =
        [
            PageCount, SharedInfoAddress, Flags, StoreMfn, StorePort, ConsoleMfn, ConsolePort,
            PageTableAddress, PageTableCount, P2mAddress, ModuleStart, ModuleBytes,
        ];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(page[(PageCountAt + (i * 4))..], words[i]);
        }

        // first_p2m_pfn and nr_p2m_frames behind it stay 0: they are for INIT_P2M, which 32-bit guests don't have.
        CommandLine.CopyTo(page[CommandLineAt..]);
    }
}
