using System.Text;
using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Processor;

/// <content>
/// Going on elsewhere: a guest goes on seeing the processor that it saw when it started, whatever the host. What its instructions do is this
/// program's, the same everywhere; so what goes along is identity, and what is compared is features.
/// </content>
public sealed partial class CpuidPolicy
{
    private const int VendorBytes = 12, MostChanges = 4096, ChangeBytes = 15;

    // What is passed on from the host: descriptors, caches, brand, more of caches.
    private static readonly (uint Leaf, uint Subleaf)[] HostLeaves =
    [
        (2, 0), (4, 0), (4, 1), (4, 2), (4, 3), (4, 4), (4, 5), (4, 6), (4, 7), (4, 8),
        (0x80000002, 0), (0x80000003, 0), (0x80000004, 0), (0x80000005, 0), (0x80000006, 0),
    ];

    private static readonly (uint Leaf, CpuidRegister Register)[] FeatureWords =
    [
        (1, CpuidRegister.Ecx), (1, CpuidRegister.Edx), (7, CpuidRegister.Ebx), (7, CpuidRegister.Ecx),
        (0x80000001, CpuidRegister.Ecx), (0x80000001, CpuidRegister.Edx), (0x80000007, CpuidRegister.Edx),
    ];

    // Another host's leaves; null for this one's.
    private Dictionary<(uint Leaf, uint Subleaf), CpuidResult>? _hostLeaves;

    /// <summary>Writes who the processor is, and what was changed of it.</summary>
    internal void Capture(SectionWriter writer)
    {
        writer.Bytes(Encoding.ASCII.GetBytes(_vendorText));
        writer.UInt32(_signature);
        foreach ((uint leaf, uint subleaf) in HostLeaves)
        {
            CpuidResult result = ReadOwn(leaf, subleaf, 0);
            foreach (uint word in (ReadOnlySpan<uint>)[result.Eax, result.Ebx, result.Ecx, result.Edx])
            {
                writer.UInt32(word);
            }
        }

        foreach ((uint leaf, CpuidRegister register) in FeatureWords)
        {
            writer.UInt32(Offered(leaf, register));
        }

        writer.UInt32((uint)_changes.Count);
        foreach (CpuidChange change in _changes)
        {
            writer.UInt32(change.Leaf);
            writer.Flag(change.Subleaf is not null);
            writer.Byte((byte)(change.Subleaf ?? 0));
            writer.Byte((byte)change.Register);
            writer.UInt32(change.Set);
            writer.UInt32(change.Clear);
        }
    }

    /// <summary>Takes that up.</summary>
    internal void Restore(SectionReader reader)
    {
        _vendorText = Encoding.ASCII.GetString(reader.Bytes(VendorBytes));
        _signature = reader.UInt32();
        _hostLeaves = [];
        foreach ((uint leaf, uint subleaf) in HostLeaves)
        {
            _hostLeaves[(leaf, subleaf)] = new CpuidResult(reader.UInt32(), reader.UInt32(), reader.UInt32(), reader.UInt32());
        }

        foreach ((uint leaf, CpuidRegister register) in FeatureWords)
        {
            uint missing = reader.UInt32() & ~Offered(leaf, register);
            if (missing != 0)
            {
                throw new SnapshotException($"the guest was told of processor features that this version doesn't have: bits {missing:x} of leaf {leaf:x}, {register}; restore it with the version that saved it");
            }
        }

        int count = reader.Count(MostChanges, ChangeBytes, "changes of CPUID");
        _changes.Clear();
        for (int i = 0; i < count; i++)
        {
            uint leaf = reader.UInt32();
            bool hasSubleaf = reader.Flag();
            byte subleaf = reader.Byte();
            var register = (CpuidRegister)reader.Byte();
            _changes.Add(new CpuidChange(leaf, hasSubleaf ? subleaf : null, register, reader.UInt32(), reader.UInt32()));
        }

        reader.End();
        Vendor = VendorOf(TextOf(Read(0, 0, 0)));
    }
}
