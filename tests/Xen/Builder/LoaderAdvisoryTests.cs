using System.Buffers.Binary;
using System.IO.Compression;
using Dbt.Translator.Memory;
using Dbt.Xen.Abi;
using Dbt.Xen.Builder;
using static Dbt.Tests.Xen.Builder.ElfWriter;

namespace Dbt.Tests.Xen.Builder;

/// <summary>Xen's advisories on kernel images and on what a guest sees of the hypervisor.</summary>
public sealed unsafe class LoaderAdvisoryTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void XSA_25_an_image_that_unpacks_to_more_and_more_is_refused_with_little_memory(int layers)
    {
        byte[] image = new byte[24 << 20];
        for (int i = 0; i < layers; i++)
        {
            using var packed = new MemoryStream();
            using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            {
                gzip.Write(image);
            }

            image = packed.ToArray();
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.ThrowsAny<DomainBuildException>(() => DomainBuilder.Prepare(new BuildRequest { Kernel = image, MemoryMiB = 16 }));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 400L << 20, "it took more than the image could ever need");
        Assert.ThrowsAny<KernelFormatException>(() => KernelContainer.Unwrap(image, 8 << 20));
    }

    [Theory]
    [InlineData(0x1C)] // e_phoff
    [InlineData(0x20)] // e_shoff
    [InlineData(0x28)] // e_ehsize, e_phentsize
    [InlineData(0x2C)] // e_phnum, e_shentsize
    [InlineData(0x30)] // e_shnum, e_shstrndx
    [InlineData(0x34 + 4)] // p_offset
    [InlineData(0x34 + 8)] // p_vaddr
    [InlineData(0x34 + 12)] // p_paddr
    [InlineData(0x34 + 16)] // p_filesz
    [InlineData(0x34 + 20)] // p_memsz
    public void XSA_55_no_number_of_an_image_leads_beyond_it(int field)
    {
        byte[] good = HvmLike();
        foreach (uint value in (uint[])[0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFF000, 0xFFFFFFF0, (uint)good.Length - 1, (uint)good.Length + 1])
        {
            byte[] bad = [.. good];
            BinaryPrimitives.WriteUInt32LittleEndian(bad.AsSpan(field), value);
            try
            {
                _ = DomainBuilder.Prepare(new BuildRequest { Kernel = bad, MemoryMiB = 16 });
            }
            catch (DomainBuildException exception)
            {
                Assert.False(string.IsNullOrWhiteSpace(exception.Message));
            }
        }
    }

    [Fact]
    public void XSA_164_194_a_guest_sees_nothing_of_the_hypervisors_but_the_table_it_is_meant_to()
    {
        // Each page from where the hypervisor begins, for each access and ring: the machine-to-physical table, to be read, and no more.
        using var f = new Memory.MemoryFixture();
        uint tableEnd = Layout.HypervisorStart + f.Hypervisor.MachineToPhysBytes;
        for (ulong linear = Layout.HypervisorStart; linear < 1UL << 32; linear += 0x1000)
        {
            for (int kind = 0; kind < 6; kind++)
            {
                bool allowed = f.TryResolve((uint)linear, (MemoryAccess)(kind % 3), kind >= 3, out byte* host, out _);
                bool isTable = linear < tableEnd && kind % 3 == (int)MemoryAccess.Read;
                Assert.True(allowed == isTable, $"{linear:x} {(MemoryAccess)(kind % 3)}");
                Assert.True(!allowed || (host >= f.Hypervisor.MachineToPhys && host < (byte*)f.Hypervisor.MachineToPhys + f.Hypervisor.MachineToPhysBytes));
            }
        }
    }

    private static byte[] HvmLike() => new ElfWriter { Entry = 0xC0100000 }
        .Load(0xC0100000, new byte[64], physical: 0x100000, memorySize: 0x3000)
        .NoteSegment(Note(18, 0x100000u), Note(6, "test")).Build();
}
