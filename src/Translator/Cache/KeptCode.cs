using System.Text;
using Dbt.Translator.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>Compiled code without anything of this process: what a file holds of it.</summary>
/// <param name="Machine">The machine code.</param>
/// <param name="Sites">Its exits.</param>
/// <param name="Pages">Pages whose execute entries it compares.</param>
/// <param name="Links">Its link cells.</param>
/// <param name="Stubs">Host code that it calls, by the field that holds its address.</param>
/// <param name="IlBytes">Length of the IL that it was made from.</param>
internal sealed record KeptCode(MachineCode Machine, ExitSite[] Sites, uint[] Pages, (int Offset, uint Target)[] Links, (int Offset, byte[] Code)[] Stubs, int IlBytes)
{
    private const byte NoSegment = 0xFF;

    /// <summary>Takes it from code that runs in this process, which is a copy.</summary>
    public static KeptCode Of(CompiledCode code) => new(
        code.Machine!, code.Sites, [.. code.Instance.Pages], [.. code.Instance.Links],
        [.. code.Instance.Stubs.Select(stub => (stub.Offset, HostStubs.CodeOf(stub.Address)))], code.IlBytes);

    /// <summary>Reads what <see cref="ToBytes"/> wrote.</summary>
    public static unsafe KeptCode Parse(ReadOnlyMemory<byte> bytes)
    {
        fixed (byte* start = bytes.Span)
        {
            using var reader = new BinaryReader(new UnmanagedMemoryStream(start, bytes.Length));
            int ilBytes = reader.ReadInt32();
            byte[] code = Bytes(reader);
            HelperCall[] calls = Many(reader, () => new HelperCall(reader.ReadInt32(), reader.ReadString()));
            WindowAccess[] accesses = Many(reader, () => new WindowAccess(reader.ReadInt32(), reader.ReadInt32()));
            ExitSite[] sites = Many(reader, () => ReadSite(reader));
            uint[] pages = Many(reader, reader.ReadUInt32);
            (int, uint)[] links = Many(reader, () => (reader.ReadInt32(), reader.ReadUInt32()));
            (int, byte[])[] stubs = Many(reader, () => (reader.ReadInt32(), Bytes(reader)));
            return new KeptCode(new MachineCode(code, calls) { Accesses = accesses }, sites, pages, links, stubs, ilBytes);
        }
    }

    /// <summary>All of it.</summary>
    public byte[] ToBytes()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        writer.Write(IlBytes);
        WriteBytes(Machine.Bytes);
        WriteMany(Machine.Calls, call =>
        {
            writer.Write(call.Offset);
            writer.Write(call.Helper);
        });
        WriteMany(Machine.Accesses, access =>
        {
            writer.Write(access.Offset);
            writer.Write(access.Exit);
        });
        WriteMany(Sites, site => WriteSite(writer, site));
        WriteMany(Pages, writer.Write);
        WriteMany(Links, link =>
        {
            writer.Write(link.Offset);
            writer.Write(link.Target);
        });
        WriteMany(Stubs, stub =>
        {
            writer.Write(stub.Offset);
            WriteBytes(stub.Code);
        });
        writer.Flush();
        return stream.ToArray();

        void WriteBytes(byte[] data)
        {
            writer.Write(data.Length);
            writer.Write(data);
        }

        void WriteMany<T>(T[] items, Action<T> write)
        {
            writer.Write(items.Length);
            Array.ForEach(items, write);
        }
    }

    /// <summary>Makes code that runs in this process.</summary>
    /// <returns>Null where there is no room for it, or something that it calls is not to be had.</returns>
    public CompiledCode? Load()
    {
        var stubs = new List<(int Offset, nint Address)>();
        foreach ((int offset, byte[] code) in Stubs)
        {
            nint address = HostStubs.Place(code);
            if (address == 0)
            {
                return null;
            }

            stubs.Add((offset, address));
        }

        return CompiledCode.Load(Machine, Sites, new InstanceLayout(Pages, Links, stubs), IlBytes);
    }

    private static byte[] Bytes(BinaryReader reader) => reader.ReadBytes(reader.ReadInt32());

    private static T[] Many<T>(BinaryReader reader, Func<T> read)
    {
        var items = new T[reader.ReadInt32()];
        for (int i = 0; i < items.Length; i++)
        {
            items[i] = read();
        }

        return items;
    }

    private static void WriteSite(BinaryWriter writer, in ExitSite site)
    {
        writer.Write((byte)site.Kind);
        writer.Write(site.Optimized);
        writer.Write((ushort)site.Mnemonic);
        writer.Write(checked((ushort)site.Retired));
        writer.Write(site.Eip);
        writer.Write(site.Memory.Base);
        writer.Write(site.Memory.Index);
        writer.Write(site.Memory.Shift);
        writer.Write(site.Memory.Size);
        writer.Write(site.Memory.Write);
        writer.Write(site.Memory.Segment is { } segment ? (byte)segment : NoSegment);
        writer.Write(site.Memory.Displacement);
    }

    private static ExitSite ReadSite(BinaryReader reader)
    {
        var kind = (SideExitKind)reader.ReadByte();
        bool optimized = reader.ReadBoolean();
        var mnemonic = (Mnemonic)reader.ReadUInt16();
        int retired = reader.ReadUInt16();
        uint eip = reader.ReadUInt32();
        (sbyte @base, sbyte index, byte shift, byte size) = (reader.ReadSByte(), reader.ReadSByte(), reader.ReadByte(), reader.ReadByte());
        bool write = reader.ReadBoolean();
        byte segment = reader.ReadByte();
        uint displacement = reader.ReadUInt32();
        var memory = new MemorySite(@base, index, shift, displacement, segment == NoSegment ? null : (SegmentIndex)segment, size, write);
        return new ExitSite(kind, eip, retired, optimized, mnemonic, memory);
    }
}
