using Dbt.Translator.Cache;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;
using static Dbt.Tests.Translator.Cache.HostCode;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Cache;

/// <summary>Machine code in another order does the same, wherever it jumps to and however far, and what only returns lies behind what goes on.</summary>
public sealed unsafe class CodeLayoutTests
{
    private const int CodeBytes = 1 << 16, Fuel = 300;

    [X64Fact]
    public void AnyFunctionDoesTheSame()
    {
        byte* memory = HostMemory.Reserve(CodeBytes, executable: true);
        byte* tail = memory + CodeBytes - 1;
        for (int seed = 0; seed < 300; seed++)
        {
            byte[] code = Assemble(a => WriteRandom(a, new Random(seed)));
            Assert.InRange(code.Length, 1, CodeBytes - 1);
            code.CopyTo(new Span<byte>(memory, code.Length));
            *tail = 0xC3;
            MachineCode? copied = MachineCodeReader.Read((nint)memory, HostHelpers.Shared, out string? refusal);
            Assert.True(copied is not null, $"seed {seed}: {refusal}");
            nint copy = CompiledCode.Place(copied);
            Assert.NotEqual(0, copy);
            for (int input = 0; input < 20; input++)
            {
                int expected = ((delegate* unmanaged<nint, nint, int>)memory)(input * 77, (nint)tail), actual = ((delegate* unmanaged<nint, nint, int>)copy)(input * 77, (nint)tail);
                Assert.True(expected == actual, $"seed {seed}, input {input}: {expected:x8}, {actual:x8} from the copy");
            }
        }

        HostMemory.Release(memory, CodeBytes);
    }

    [X64Fact]
    public void WhatOnlyReturnsLiesBehind()
    {
        byte* memory = HostMemory.Reserve(CodeBytes, executable: true);
        byte[] code = Assemble(a =>
        {
            Label next = a.CreateLabel(), after = a.CreateLabel();
            a.test(edi, edi);
            a.jne(next);
            a.mov(eax, 16);
            a.ret();
            a.Label(ref next);
            a.test(edi, 2);
            a.je(after);
            a.mov(eax, 17);
            a.ret();
            a.Label(ref after);
            a.jmp(rsi);
        });
        code.CopyTo(new Span<byte>(memory, code.Length));
        byte[] bytes = MachineCodeReader.Read((nint)memory, HostHelpers.Shared, out _)!.Bytes;
        Assert.Equal([Mnemonic.Test, Mnemonic.Je, Mnemonic.Test, Mnemonic.Jne, Mnemonic.Jmp, Mnemonic.Mov, Mnemonic.Ret, Mnemonic.Mov, Mnemonic.Ret], Mnemonics(bytes));
        HostMemory.Release(memory, CodeBytes);
    }

    [X64Theory]
    [InlineData(0, true)]
    [InlineData(8, true)]
    [InlineData(0x58, true)]
    [InlineData(0x158, true)]
    [InlineData(0x58, false)]
    public void ARegionSavesNoRegisters(int room, bool asRyuJit)
    {
        byte* memory = HostMemory.Reserve(CodeBytes, executable: true);
        byte* tail = memory + CodeBytes - 1;
        byte[] code = Assemble(a => WriteFramed(a, room, asRyuJit));
        code.CopyTo(new Span<byte>(memory, code.Length));
        *tail = 0xC3;
        MachineCode copied = MachineCodeReader.ReadRegion((nint)memory, HostHelpers.Shared)!;
        nint copy = CompiledCode.Place(copied);
        for (int input = 0; input < 8; input++)
        {
            Assert.Equal(((delegate* unmanaged<nint, nint, int>)memory)(input, (nint)tail), RegionEntry.Address((CpuState*)input, (nint)tail, copy));
        }

        Assert.Equal(asRyuJit, !Mnemonics(copied.Bytes).Any(static mnemonic => mnemonic is Mnemonic.Push or Mnemonic.Pop));
        HostMemory.Release(memory, CodeBytes);
    }

    /// <summary>A function with a frame as RyuJIT makes it, or one whose second end takes registers back in the wrong order for that (and is right, as they are the same).</summary>
    private static void WriteFramed(Assembler a, int room, bool asRyuJit)
    {
        AssemblerRegister64[] saved = [rbp, r15, rbx];
        Label other = a.CreateLabel();
        foreach (AssemblerRegister64 register in saved)
        {
            a.push(register);
        }

        if (room == 8)
        {
            a.push(rax);
        }
        else if (room != 0)
        {
            a.sub(rsp, room);
        }

        a.lea(rbp, __[rsp + room + 16]);
        a.mov(ebx, edi);
        a.imul(r15d, ebx, 77);
        if (room >= 16)
        {
            a.mov(__dword_ptr[rsp + 8], r15d);
            a.mov(r15d, 1);
            a.add(r15d, __dword_ptr[rbp - room - 8]);
        }

        a.lea(eax, __[rbx + r15]);
        a.test(edi, 1);
        a.jne(other);
        End(saved.Reverse());
        a.ret();
        a.Label(ref other);
        a.not(eax);
        End(asRyuJit ? saved.Reverse() : [rbx, rbp, r15]);
        a.jmp(rsi);

        void End(IEnumerable<AssemblerRegister64> order)
        {
            if (!asRyuJit && order.Last() == r15)
            {
                // What the wrong order would mix up.
                a.mov(rax, __qword_ptr[rsp + room + 8]);
                a.xchg(__qword_ptr[rsp + room + 16], rax);
                a.mov(__qword_ptr[rsp + room + 8], rax);
                a.lea(eax, __[rbx + r15]);
                a.not(eax);
            }

            if (room != 0)
            {
                a.add(rsp, room);
            }

            foreach (AssemblerRegister64 register in order)
            {
                a.pop(register);
            }
        }
    }

    /// <summary>Blocks that each change EAX and go anywhere, until the fuel is used up: <c>int f(int first, nint tail)</c>, of which the tail returns.</summary>
    private static void WriteRandom(Assembler a, Random random)
    {
        var blocks = new Label[random.Next(1, 40)];
        for (int i = 0; i < blocks.Length; i++)
        {
            blocks[i] = a.CreateLabel();
        }

        Label empty = a.CreateLabel();
        a.mov(eax, edi);
        a.mov(ecx, Fuel);
        for (int i = 0; i < blocks.Length; i++)
        {
            a.Label(ref blocks[i]);
            for (int bytes = random.Next(4) == 0 ? random.Next(300) : 0; bytes > 0; bytes--)
            {
                a.cmc();
            }

            a.imul(eax, eax, random.Next() | 1);
            a.add(eax, random.Next());
            a.dec(ecx);
            a.je(empty);
            a.test(eax, 1 << random.Next(32));
            WriteBranch(a, random.Next(5), blocks[random.Next(blocks.Length)]);
            switch (random.Next(i + 1 == blocks.Length ? 3 : 5))
            {
                case 0:
                    a.jmp(blocks[random.Next(blocks.Length)]);
                    break;
                case 1:
                    a.jmp(rsi);
                    break;
                case 2:
                    a.ret();
                    break;
            }
        }

        // Nothing but a jump.
        Label end = a.CreateLabel();
        a.Label(ref empty);
        a.jmp(end);
        a.Label(ref end);
        a.ret();
    }

    private static void WriteBranch(Assembler a, int kind, Label to)
    {
        switch (kind)
        {
            case 0:
                a.je(to);
                break;
            case 1:
                a.jne(to);
                break;
            case 2:
                a.js(to);
                break;
            case 3:
                a.jg(to);
                break;
        }
    }
}
