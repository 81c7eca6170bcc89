using System.Buffers.Binary;
using Iced.Intel;
using static Dbt.Tests.Translator.Protection.MonitorLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Protection;

/// <summary>The paging program's tables and code: the first megabytes are mapped one to one, the test page as each case says.</summary>
internal static class MonitorPaging
{
    public const uint Cr3 = PageDirectory;

    /// <summary>The test page's entries.</summary>
    public const uint DirectoryEntry = PageDirectory + ((TestLinear >> 22) * 4), TableEntry = Table;

    /// <inheritdoc cref="DirectoryEntry"/>
    public const uint PaeDirectoryEntry = PaeDirectory + ((TestLinear >> 21) * 8), PaeTableEntry = PaeTable;

    /// <summary>Bits of EDX that tell how paging is set up.</summary>
    public const uint WriteProtect = 1, LargePages = 2, GlobalPages = 4, NoExecute = 8;

    private const int Code = unchecked((int)0x40CD40CD);

    public static void WriteTables(byte[] image)
    {
        void Put64(uint address, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan((int)(address - Image)), value);
        void Put32(uint address, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan((int)(address - Image)), value);
        Put32(PageDirectory, IdentityTable | 0x27);
        for (uint i = 0; i < 1024; i++)
        {
            Put32(IdentityTable + (i * 4), (i << 12) | 0x67);
        }

        Put64(PointerTable, PaeDirectory | 1);
        Put64(PaeDirectory, 0xE7);
        Put64(PaeDirectory + 8, 0x2000E7);
    }

    /// <summary>Fills the page behind the test page with INT 40h.</summary>
    public static void WriteStart(Assembler a)
    {
        a.mov(edi, TestPhysical);
        a.mov(ecx, 2048);
        a.mov(eax, Code);
        a.rep.stosd();
    }

    public static void WriteRestore(Assembler a)
    {
        a.mov(eax, 0x11);
        a.mov(cr0, eax);
        a.xor(eax, eax);
        a.mov(cr4, eax);
        a.mov(eax, Cr3);
        a.mov(cr3, eax);
        a.mov(ecx, unchecked((int)0xC0000080));
        a.xor(eax, eax);
        a.xor(edx, edx);
        a.wrmsr();
    }

    public static void WriteOps(Action<string, Action<Assembler>> op, Action<string, Action<Assembler>> prepare)
    {
        op("page read", a => a.mov(eax, __dword_ptr[ebx]));
        op("page write", a => a.mov(__dword_ptr[ebx], Code));
        op("page update", a => a.@lock.add(__dword_ptr[ebx], 0));
        op("page execute", a => a.jmp(ebx));
        op("page push", a =>
        {
            a.lea(esp, __[ebx + 4]);
            a.push(Code);
            a.mov(esp, TestStack);
        });

        // A translation in use, its entry withdrawn; with and without telling the processor.
        op("page withdrawn", a =>
        {
            a.mov(eax, __dword_ptr[ebx]);
            a.mov(__dword_ptr[(int)TableEntry], 0);
            a.invlpg(__[ebx]);
            a.mov(eax, __dword_ptr[ebx]);
        });
        op("page withdrawn, cr3", a =>
        {
            a.mov(eax, __dword_ptr[ebx]);
            a.mov(__dword_ptr[(int)TableEntry], 0);
            a.mov(eax, cr3);
            a.mov(cr3, eax);
            a.mov(eax, __dword_ptr[ebx]);
        });
        op("page withdrawn, cr4", a =>
        {
            a.mov(eax, __dword_ptr[ebx]);
            a.mov(__dword_ptr[(int)TableEntry], 0);
            a.mov(eax, cr4);
            a.xor(eax, 0x80);
            a.mov(cr4, eax);
            a.mov(eax, __dword_ptr[ebx]);
        });
        op("large page withdrawn", a =>
        {
            a.mov(eax, __dword_ptr[ebx]);
            a.mov(__dword_ptr[(int)DirectoryEntry], 0);
            a.lea(ecx, __[ebx + 0x5000]);
            a.mov(eax, __dword_ptr[ecx]);
            a.invlpg(__[ebx]);
            a.mov(eax, __dword_ptr[ecx]);
        });
        prepare("two levels", a =>
        {
            foreach ((int from, uint to) in new[] { (DescriptorA, DirectoryEntry), (DescriptorA + 4, TableEntry) })
            {
                a.mov(eax, __dword_ptr[esi + from]);
                a.mov(__dword_ptr[(int)to], eax);
            }

            WritePagingOn(a, 0);
        });
        prepare("pae", a =>
        {
            a.mov(eax, PointerTable);
            a.mov(cr3, eax);
            a.mov(__dword_ptr[(int)FaultTss + 0x1C], eax);
            foreach ((int from, uint to) in new[]
            {
                (DescriptorA, PaeDirectoryEntry), (DescriptorA + 4, PaeDirectoryEntry + 4), (DescriptorB, PaeTableEntry), (DescriptorB + 4, PaeTableEntry + 4),
            })
            {
                a.mov(eax, __dword_ptr[esi + from]);
                a.mov(__dword_ptr[(int)to], eax);
            }

            WritePagingOn(a, 0x20);
        });
    }

    private static void WritePagingOn(Assembler a, int features)
    {
        Label noNx = a.CreateLabel();
        a.test(__dword_ptr[esi + Edx], (int)NoExecute);
        a.jz(noNx);
        a.mov(ecx, unchecked((int)0xC0000080));
        a.mov(eax, 0x800);
        a.xor(edx, edx);
        a.wrmsr();
        a.Label(ref noNx);
        a.mov(eax, __dword_ptr[esi + Edx]);
        a.and(eax, (int)LargePages);
        a.shl(eax, 3);
        a.mov(ecx, __dword_ptr[esi + Edx]);
        a.and(ecx, (int)GlobalPages);
        a.shl(ecx, 5);
        a.lea(eax, __[eax + ecx + features]);
        a.mov(cr4, eax);
        a.mov(eax, __dword_ptr[esi + Edx]);
        a.and(eax, (int)WriteProtect);
        a.shl(eax, 16);
        a.or(eax, unchecked((int)0x80000011));
        a.mov(cr0, eax);
    }
}
