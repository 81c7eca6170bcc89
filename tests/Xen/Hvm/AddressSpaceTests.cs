using System.Numerics;
using Dbt.Translator;
using Dbt.Xen;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Hvm;

/// <summary>
/// A kernel that goes to and fro between two address spaces and changes the tables of the one that it isn't in. What was used there is filled again when it comes back, and must be what the
/// tables say by then: another frame, no right to write, nothing at all, and accessed and dirty bits that are set anew.
/// </summary>
public sealed class AddressSpaceTests
{
    private const uint Here = 0x50000, There = 0x50020, Low = 0x51000, High = 0x52000, HighThere = 0x53000, Leaf = 0x54000, LeafThere = 0x55000, Descriptors = 0x56000, Vectors = 0x57000;
    private const uint Frame = 0x60000, Other = 0x62000, FrameThere = 0x61000, Place = 0x40000000, Result = 0x58000, Turns = 5000;
    private const int PageFault = 14;
    private const uint Mapped = 0x63, Large = 0xE3;

    [Theory]
    [InlineData(EngineKind.Interpreter)]
    [InlineData(EngineKind.Quick)]
    [InlineData(EngineKind.Optimized)]
    [InlineData(EngineKind.Tiered)]
    public async Task WhatIsFilledBeforehandIsWhatTheTablesSay(EngineKind engine)
    {
        byte[] code = Code(out uint handler);
        using var guest = new HvmFixture(code, engine: engine);
        PutTables(guest, handler);
        guest.Vcpu.Start();
        ShutdownReason reason = await guest.Domain.Stopped.WaitAsync(TimeSpan.FromMinutes(2));
        Assert.True(reason == ShutdownReason.Poweroff, guest.Domain.CrashReport?.Text);
        guest.Vcpu.Stop();
        Assert.Equal((Expected(), 2 * Turns), (guest.Get(Result), guest.Get(Result + 4)));
    }

    private static void PutTables(HvmFixture guest, uint handler)
    {
        Put(Here, 1, Low, High);
        Put(There, 1, Low, HighThere);
        for (uint i = 0; i < HvmFixture.MemoryMiB / 2; i++)
        {
            Entry(Low + (i * 8), (i << 21) | Large);
        }

        Entry(High, Leaf | Mapped);
        Entry(HighThere, LeafThere | Mapped);
        Entry(Leaf, Frame | Mapped);
        Entry(LeafThere, FrameThere | Mapped);
        BitConverter.TryWriteBytes(guest.At(Descriptors + 8), 0x00CF_9B00_0000_FFFF);
        BitConverter.TryWriteBytes(guest.At(Vectors + (PageFault * 8)), (handler & 0xFFFF) | (8 << 16) | ((ulong)((handler & 0xFFFF0000) | 0x8E00) << 32));
        Pointer(Result + 0x10, Descriptors, 15);
        Pointer(Result + 0x18, Vectors, (PageFault * 8) + 7);

        void Put(uint place, uint flags, params ReadOnlySpan<uint> tables)
        {
            foreach (uint table in tables)
            {
                Entry(place, table | flags);
                place += 8;
            }
        }

        void Entry(uint place, ulong value) => BitConverter.TryWriteBytes(guest.At(place), value);

        void Pointer(uint place, uint table, uint limit) => Entry(place, limit | ((ulong)table << 16));
    }

    private static byte[] Code(out uint handler)
    {
        var a = new Assembler(32);
        Label start = a.CreateLabel(), again = a.CreateLabel(), fault = a.CreateLabel();
        a.mov(esp, 0x28000);
        a.lgdt(__[Result + 0x10]);
        a.lidt(__[Result + 0x18]);
        a.push(8);
        a.push(HvmFixture.Entry + 0x40);
        a.retf();
        a.Label(ref start);
        a.mov(eax, cr4);
        a.or(eax, 0x20);
        a.mov(cr4, eax);
        Enter(Here);
        a.mov(eax, cr0);
        a.or(eax, unchecked((int)0x80010000));
        a.mov(cr0, eax);
        a.xor(ebx, ebx);
        a.xor(ebp, ebp);
        a.mov(ecx, Turns);
        a.Label(ref again);
        a.inc(__dword_ptr[Place]);
        a.add(ebx, __dword_ptr[Place]);
        Enter(There);
        a.add(__dword_ptr[Place], 2);
        a.add(ebx, __dword_ptr[Place]);

        // Another frame.
        a.xor(__dword_ptr[Leaf], Frame ^ Other);
        Enter(Here);
        a.add(ebx, __dword_ptr[Place]);

        // Not dirty, and then not accessed.
        Marks(0x40, () => a.inc(__dword_ptr[Place]));
        Marks(0x20, () => a.add(ebx, __dword_ptr[Place]));

        // Read only.
        Enter(There);
        a.and(__dword_ptr[Leaf], ~2);
        Enter(Here);
        a.inc(__dword_ptr[Place]);

        // Not there.
        Enter(There);
        a.and(__dword_ptr[Leaf], ~1);
        Enter(Here);
        a.add(ebx, __dword_ptr[Place]);
        a.add(ebx, ebp);
        a.rol(ebx, 1);
        a.dec(ecx);
        a.jnz(again);
        a.mov(__dword_ptr[Result], ebx);
        a.mov(__dword_ptr[Result + 4], ebp);
        a.cli();
        a.hlt();
        a.Label(ref fault);
        a.inc(ebp);
        a.or(__dword_ptr[Leaf], 3);
        a.invlpg(__[Place]);
        a.add(esp, 4);
        a.iretd();

        // The far return's target: the last four bytes before the return.
        using var body = new MemoryStream();
        AssemblerResult result = a.Assemble(new StreamCodeWriter(body), HvmFixture.Entry, BlockEncoderOptions.ReturnNewInstructionOffsets);
        handler = (uint)result.GetLabelRIP(fault);
        byte[] code = body.ToArray();
        uint begin = (uint)result.GetLabelRIP(start);
        int operand = Array.FindIndex(code, 0, static b => b == 0xCB) - 4;
        BitConverter.TryWriteBytes(code.AsSpan(operand), begin);
        return code;

        void Marks(int bit, Action access)
        {
            Enter(There);
            a.and(__dword_ptr[Leaf], ~bit);
            Enter(Here);
            access();
            a.mov(edx, __dword_ptr[Leaf]);
            a.and(edx, 0x60);
            a.add(ebx, edx);
        }

        void Enter(uint tables)
        {
            a.mov(eax, tables);
            a.mov(cr3, eax);
        }
    }

    private static uint Expected()
    {
        uint here = 0, other = 0, there = 0, sum = 0, faults = 0;
        for (uint turn = 0; turn < Turns; turn++)
        {
            sum += ++here;
            there += 2;
            sum += there;
            (here, other) = (other, here);
            sum += here;
            here++;
            sum += 0x60;
            sum += here;
            sum += 0x60;
            here++;
            faults++;
            faults++;
            sum += here;
            sum = BitOperations.RotateLeft(sum + faults, 1);
        }

        return sum;
    }
}
