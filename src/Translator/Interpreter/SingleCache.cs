using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

/// <summary>
/// Decoded single instructions for what follows side exits. A hit compares the code bytes, so writes need not be announced to it.
/// </summary>
internal sealed unsafe class SingleCache
{
    /// <summary>Instructions it holds.</summary>
    public const int Entries = 1024;

    private readonly DecodedBlock?[] _blocks = new DecodedBlock?[Entries];
    private readonly byte[] _bytes = new byte[Entries * 16];

    /// <summary>The instruction at a host address; null where it is not held, or has changed.</summary>
    public DecodedBlock? Find(byte* host, uint eip, CpuMode mode)
    {
        int index = Index(host);
        DecodedBlock? block = _blocks[index];
        if (block == null || block.Host != host || block.Eip != eip || block.Mode != mode)
        {
            return null;
        }

        return new ReadOnlySpan<byte>(host, block.Length).SequenceEqual(_bytes.AsSpan(index * 16, block.Length)) ? block : null;
    }

    /// <summary>Keeps a block of one instruction that lies in one page; <paramref name="code"/> are the bytes it was decoded from.</summary>
    public void Add(DecodedBlock block, ReadOnlySpan<byte> code)
    {
        int index = Index(block.Host);
        code.CopyTo(_bytes.AsSpan(index * 16));
        _blocks[index] = block;
    }

    /// <summary>The place of the instruction at a host address.</summary>
    public static int Index(byte* host) => (int)(((ulong)host ^ ((ulong)host >> 10)) & (Entries - 1));
}
