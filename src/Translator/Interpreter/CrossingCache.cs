using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

/// <summary>
/// Decoded instructions that lie across two pages. A hit compares the code bytes in both, so neither writes nor another page behind the first
/// need be announced to it.
/// </summary>
internal sealed unsafe class CrossingCache
{
    /// <summary>Instructions it holds.</summary>
    public const int Entries = 256;

    private const int LongestInstruction = 15;

    private readonly DecodedBlock?[] _blocks = new DecodedBlock?[Entries];
    private readonly byte[] _bytes = new byte[Entries * 16];

    /// <summary>Whether an instruction at a host address may lie across two pages.</summary>
    public static bool MayCross(byte* host) => ((ulong)host & 0xFFF) > 4096 - LongestInstruction;

    /// <summary>The instruction whose first byte and whose first byte in the next page are at two host addresses; null where it is not held, or has changed.</summary>
    public DecodedBlock? Find(byte* host, byte* second, uint eip, CpuMode mode)
    {
        int index = Index(host);
        DecodedBlock? block = _blocks[index];
        if (block == null || block.Host != host || block.Eip != eip || block.Mode != mode)
        {
            return null;
        }

        int room = (int)(4096 - ((ulong)host & 0xFFF));
        Span<byte> kept = _bytes.AsSpan(index * 16, block.Length);
        return new ReadOnlySpan<byte>(host, room).SequenceEqual(kept[..room]) && new ReadOnlySpan<byte>(second, block.Length - room).SequenceEqual(kept[room..])
            ? block
            : null;
    }

    /// <summary>Keeps one; <paramref name="code"/> are the bytes it was decoded from.</summary>
    public void Add(DecodedBlock block, ReadOnlySpan<byte> code)
    {
        int index = Index(block.Host);
        code.CopyTo(_bytes.AsSpan(index * 16, 16));
        _blocks[index] = block;
    }

    /// <summary>The place of the instruction at a host address.</summary>
    public static int Index(byte* host) => (int)(((ulong)host >> 12) & (Entries - 1));
}
