using System.Buffers.Binary;
using Dbt.Translator.State;

namespace Dbt.Translator.Emit;

/// <summary>A block of a <see cref="RegionShape"/>.</summary>
/// <param name="Start">EIP of the first byte.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Offset">Where its bytes are in the key.</param>
/// <param name="Flags">What leads to it.</param>
internal readonly record struct ShapeBlock(uint Start, int Length, int Offset, ShapeFlags Flags);

/// <summary>What leads to a block, besides edges.</summary>
[Flags]
internal enum ShapeFlags : byte
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary><see cref="GuestBlock.IsEntry"/>.</summary>
    Entry = 1,

    /// <summary><see cref="GuestBlock.IsIndirectTarget"/>.</summary>
    IndirectTarget = 2,
}

/// <summary>
/// All that the code of a region depends on: which blocks of which bytes, what leads to them, the mode, how it is emitted. Two regions with
/// the same <see cref="Key"/> have the same code, wherever they lie in memory.
/// </summary>
internal sealed unsafe class RegionShape
{
    private const int HeaderBytes = 20;
    private const int BlockBytes = 8;
    private const int BytesPerInstruction = 3;
    private const int NativeFloatingPoint = 8;

    private RegionShape(byte[] key, ShapeBlock[] blocks)
    {
        Key = key;
        Blocks = blocks;
        Mode = (CpuMode)BinaryPrimitives.ReadUInt32LittleEndian(key.AsSpan(4));
        Entry = BinaryPrimitives.ReadUInt32LittleEndian(key.AsSpan(8));
        Entries = [.. blocks.Where(block => (block.Flags & ShapeFlags.Entry) != 0 && (block.Start == Entry || (Mode & CpuMode.Apart) == 0)).Select(block => block.Start)];
        Pages = [.. blocks.SelectMany(block => PagesOf(block.Start, block.Length)).Distinct()];
    }

    /// <summary>How it is emitted: see <see cref="OptionsOf"/>.</summary>
    public int Options => Key[0];

    /// <summary>Everything as bytes.</summary>
    public byte[] Key { get; }

    /// <summary>EIP of the main entry.</summary>
    public uint Entry { get; }

    /// <summary>The mode in the keys of its entries: see <see cref="Region.KeyMode"/>.</summary>
    public CpuMode Mode { get; }

    /// <summary>EIPs at which it is entered.</summary>
    public uint[] Entries { get; }

    /// <summary>Guest instructions, about.</summary>
    public int InstructionCount => Blocks.Sum(block => block.Length) / BytesPerInstruction;

    /// <summary>The blocks in the order in which they are emitted.</summary>
    public ShapeBlock[] Blocks { get; }

    /// <summary>Numbers of the linear pages that hold bytes of it.</summary>
    public uint[] Pages { get; }

    /// <summary>What of a way to emit code makes a difference, as a number below 256.</summary>
    public static int OptionsOf(EmitTarget target, bool nativeFloatingPoint) =>
        (target.Optimize ? 1 : 0) | (target.Link ? 2 : 0) | (target.Counts ? 4 : 0) | (nativeFloatingPoint ? NativeFloatingPoint : 0);

    /// <summary>Makes the shape of a region.</summary>
    /// <param name="region">The region; its blocks have their bytes.</param>
    /// <param name="target">How it is to be emitted.</param>
    public static RegionShape Of(Region region, EmitTarget target)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(OptionsOf(target, region.NativeFloatingPoint));
        writer.Write((uint)region.KeyMode);
        writer.Write(region.Entry);
        writer.Write(region.Blocks.Count);
        writer.Write((ushort)region.ReturnSites.Count);
        writer.Write((ushort)region.JumpTargets.Count);
        foreach (GuestBlock block in region.Blocks)
        {
            writer.Write(block.Start);
            writer.Write((ushort)block.Bytes.Length);
            writer.Write((ushort)((block.IsEntry ? ShapeFlags.Entry : 0) | (block.IsIndirectTarget ? ShapeFlags.IndirectTarget : 0)));
        }

        foreach (GuestBlock block in region.ReturnSites)
        {
            writer.Write(block.Start);
        }

        foreach ((uint jump, List<GuestBlock> targets) in region.JumpTargets.OrderBy(pair => pair.Key))
        {
            writer.Write(jump);
            writer.Write(targets.Count);
            targets.ForEach(block => writer.Write(block.Start));
        }

        foreach (GuestBlock block in region.Blocks)
        {
            writer.Write(block.Bytes);
        }

        writer.Flush();
        return Parse(stream.ToArray());
    }

    /// <summary>Reads a key.</summary>
    public static RegionShape Parse(byte[] key)
    {
        ReadOnlySpan<byte> data = key;
        int count = BinaryPrimitives.ReadInt32LittleEndian(data[12..]);
        if (count <= 0 || count > data.Length / BlockBytes)
        {
            throw new InvalidDataException("A region has a number of blocks that its key has no room for.");
        }

        var blocks = new ShapeBlock[count];
        int offset = key.Length;
        for (int i = blocks.Length - 1; i >= 0; i--)
        {
            ReadOnlySpan<byte> at = data[(HeaderBytes + (i * BlockBytes))..];
            int length = BinaryPrimitives.ReadUInt16LittleEndian(at[4..]);
            offset -= length;
            blocks[i] = new ShapeBlock(BinaryPrimitives.ReadUInt32LittleEndian(at), length, offset, (ShapeFlags)at[6]);
        }

        return new RegionShape(key, blocks);
    }

    /// <summary>Decodes it: the region as it was when its shape was made, at its place in memory.</summary>
    /// <param name="pages">Execute entries of <see cref="Pages"/>.</param>
    /// <param name="windowed">Whether it is to reach memory by the address window, where this one needn't.</param>
    public Region ToRegion(Dictionary<uint, long> pages, bool windowed = false)
    {
        var region = new Region(Entry, (Mode & ~CpuMode.Apart) | (windowed ? CpuMode.Window : 0), (Options & NativeFloatingPoint) != 0) { IsApart = (Mode & CpuMode.Apart) != 0 };
        foreach (ShapeBlock part in Blocks)
        {
            byte[] bytes = Key.AsSpan(part.Offset, part.Length).ToArray();
            var block = new GuestBlock(part.Start)
            {
                Bytes = bytes,
                End = part.Start + (uint)part.Length,
                IsEntry = (part.Flags & ShapeFlags.Entry) != 0,
                IsIndirectTarget = (part.Flags & ShapeFlags.IndirectTarget) != 0,
            };
            var decoder = Iced.Intel.Decoder.Create(32, bytes, part.Start);
            while (decoder.IP - part.Start < (uint)bytes.Length)
            {
                decoder.Decode(out Iced.Intel.Instruction instruction);
                block.Instructions.Add(instruction);
                region.NoteX87(instruction, bytes.AsSpan((int)(instruction.IP32 - part.Start), instruction.Length));
            }

            region.Blocks.Add(block);
            region.ByStart.Add(block.Start, block);
            region.InstructionCount += block.Instructions.Count;
        }

        ReadOnlySpan<byte> rest = Key.AsSpan(HeaderBytes + (Blocks.Length * BlockBytes));
        int returnSites = BinaryPrimitives.ReadUInt16LittleEndian(Key.AsSpan(16)), jumps = BinaryPrimitives.ReadUInt16LittleEndian(Key.AsSpan(18));
        for (int i = 0; i < returnSites; i++)
        {
            region.ReturnSites.Add(region.ByStart[Take(ref rest)]);
        }

        for (int i = 0; i < jumps; i++)
        {
            uint jump = Take(ref rest), targets = Take(ref rest);
            var inside = new List<GuestBlock>();
            for (uint target = 0; target < targets; target++)
            {
                inside.Add(region.ByStart[Take(ref rest)]);
            }

            region.JumpTargets.Add(jump, inside);
        }

        foreach ((uint page, long entry) in pages)
        {
            region.Pages.Add(page, entry);
        }

        RegionBuilder.Connect(region);
        return region;

        static uint Take(ref ReadOnlySpan<byte> data)
        {
            uint value = BinaryPrimitives.ReadUInt32LittleEndian(data);
            data = data[sizeof(uint)..];
            return value;
        }
    }

    /// <summary>Whether guest memory holds the bytes of all blocks.</summary>
    /// <param name="pages">Execute entries of <see cref="Pages"/>; those that are 0 are left out.</param>
    public bool Matches(Dictionary<uint, long> pages)
    {
        foreach (ShapeBlock block in Blocks)
        {
            ReadOnlySpan<byte> bytes = Key.AsSpan(block.Offset, block.Length);
            uint at = block.Start;
            while (!bytes.IsEmpty)
            {
                int piece = (int)Math.Min((uint)bytes.Length, 4096 - (at & 0xFFF));
                long entry = pages[at >> 12];
                if (entry != 0 && !new ReadOnlySpan<byte>((byte*)(entry + at), piece).SequenceEqual(bytes[..piece]))
                {
                    return false;
                }

                bytes = bytes[piece..];
                at += (uint)piece;
            }
        }

        return true;
    }

    private static IEnumerable<uint> PagesOf(uint start, int length)
    {
        for (uint page = start >> 12; ; page = (page + 1) & 0xFFFFF)
        {
            yield return page;
            if (page == ((start + (uint)length - 1) >> 12))
            {
                yield break;
            }
        }
    }
}
