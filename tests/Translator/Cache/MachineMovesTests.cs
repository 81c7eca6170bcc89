using Dbt.Translator.Cache;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;
using static Dbt.Tests.Translator.Cache.HostCode;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Cache;

/// <summary>Machine code without its needless moves does the same, and those of them that RyuJIT makes all the time are left out.</summary>
public sealed unsafe class MachineMovesTests
{
    private const int CodeBytes = 1 << 16, DataBytes = 256, Fuel = 200, FuelAt = DataBytes;

    private static readonly AssemblerRegister64[] s_wide = [rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
    private static readonly AssemblerRegister32[] s_narrow = [eax, ecx, edx, esi, edi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d];
    private static readonly AssemblerRegister8[] s_bytes = [al, cl, dl, sil, dil, r8b, r9b, r10b, r11b, r12b, r13b, r14b, r15b];

    private static readonly AssemblerRegister16[] s_halves = [ax, cx, dx, si, di, r8w, r9w, r10w, r11w, r12w, r13w, r14w, r15w];

    // More of them: DBT_MACHINE_FUNCTIONS.
    private static int Functions => int.TryParse(Environment.GetEnvironmentVariable("DBT_MACHINE_FUNCTIONS"), out int count) ? count : 500;

    [X64Fact]
    public void AnyFunctionDoesTheSame()
    {
        byte* memory = HostMemory.Reserve(CodeBytes, executable: true);
        byte* data = HostMemory.Reserve(4096);
        byte[] expected = new byte[DataBytes], actual = new byte[DataBytes];
        long before = 0, after = 0;
        for (int seed = 0; seed < Functions; seed++)
        {
            byte[] code = Assemble(a => WriteRandom(a, new Random(seed)));
            Assert.InRange(code.Length, 1, CodeBytes);
            code.CopyTo(new Span<byte>(memory, code.Length));
            MachineCode? copied = MachineCodeReader.ReadRegion((nint)memory, HostHelpers.Shared);
            Assert.True(copied is not null, $"seed {seed}");
            before += code.Length;
            after += copied.Bytes.Length;
            nint copy = CompiledCode.Place(copied);
            Assert.NotEqual(0, copy);
            for (int input = 0; input < 4; input++)
            {
                int first = Run((nint)memory, data, input, expected), second = Run(copy, data, input, actual);
                Assert.True(first == second, $"seed {seed}, input {input}: {first:x8}, {second:x8} from the copy");
                Assert.True(expected.AsSpan().SequenceEqual(actual), $"seed {seed}, input {input}: memory\n{Text(code)}\n=====\n{Text(copied.Bytes)}");
            }
        }

        Assert.True(after < before, $"{before} bytes, {after} after it");
        HostMemory.Release(memory, CodeBytes);
        HostMemory.Release(data, 4096);
    }

    [X64Fact]
    public void WhatIsMadeIsMadeInPlace() => Left(
        a =>
        {
            a.mov(r12d, __dword_ptr[rdi]);
            a.lea(ecx, __[r12 + rsi]);
            a.mov(r12d, ecx);
            a.mov(edx, r12d);
            a.mov(r9d, edx);
            a.shr(r9d, 30);
            a.mov(r12d, r9d);
            a.mov(__dword_ptr[rdi + 4], r12d);
            a.mov(eax, r12d);
            a.ret();
        },
        Mnemonic.Mov, Mnemonic.Lea, Mnemonic.Shr, Mnemonic.Mov, Mnemonic.Mov, Mnemonic.Ret);

    [X64Fact]
    public void WhatABranchNeedsStays() => Left(
        a =>
        {
            Label away = a.CreateLabel();
            a.mov(r9d, __dword_ptr[rdi]);
            a.lea(ecx, __[r9 + rsi]);
            a.test(ecx, ecx);
            a.je(away);
            a.mov(r9d, ecx);
            a.mov(eax, r9d);
            a.add(r9d, eax);
            a.mov(eax, r9d);
            a.ret();
            a.Label(ref away);
            a.mov(eax, r9d);
            a.ret();
        },
        Mnemonic.Mov, Mnemonic.Lea, Mnemonic.Test, Mnemonic.Je, Mnemonic.Add, Mnemonic.Ret, Mnemonic.Mov, Mnemonic.Ret);

    [X64Fact]
    public void TheUpperHalfStaysZero() => Left(
        a =>
        {
            a.mov(rcx, __qword_ptr[rdi]);
            a.mov(edx, ecx);
            a.lea(rax, __[rdx + rdx]);
            a.shr(rax, 8);
            a.ret();
        },
        Mnemonic.Mov, Mnemonic.Mov, Mnemonic.Lea, Mnemonic.Shr, Mnemonic.Ret);

    [X64Fact]
    public void WhatIsExtendedIsNotExtendedAgain() => Left(
        a =>
        {
            a.movzx(ecx, __byte_ptr[rdi]);
            a.movzx(r9d, __byte_ptr[rdi + 1]);
            a.movzx(edx, cl);
            a.mov(r10, r9);
            a.movzx(r8d, r10b);
            a.cmp(edx, r8d);
            a.setb(r9b);
            a.movzx(eax, r9b);
            a.ret();
        },
        Mnemonic.Movzx, Mnemonic.Movzx, Mnemonic.Cmp, Mnemonic.Setb, Mnemonic.Movzx, Mnemonic.Ret);

    [X64Fact]
    public void AnOperandThatIsNotWrittenDownStays()
    {
        if (!System.Runtime.Intrinsics.X86.Bmi2.X64.IsSupported)
        {
            return;
        }

        // MULX multiplies by EDX, whatever its third operand is.
        Left(
            a =>
            {
                a.mov(edx, esi);
                a.mulx(r8d, r9d, edx);
                a.lea(eax, __[r8 + r9]);
                a.ret();
            },
            Mnemonic.Mov, Mnemonic.Mulx, Mnemonic.Lea, Mnemonic.Ret);
    }

    private static void Left(Action<Assembler> write, params Mnemonic[] expected)
    {
        byte* memory = HostMemory.Reserve(CodeBytes, executable: true);
        byte[] code = Assemble(write);
        code.CopyTo(new Span<byte>(memory, code.Length));
        byte[] bytes = MachineCodeReader.ReadRegion((nint)memory, HostHelpers.Shared)!.Bytes;
        HostMemory.Release(memory, CodeBytes);
        Assert.Equal(expected, Mnemonics(bytes));
    }

    private static string Text(byte[] bytes) => string.Join('\n', Instructions(bytes).ConvertAll(static i => $"{i.IP:x4} {i}"));

    private static int Run(nint function, byte* data, int input, byte[] result)
    {
        for (int i = 0; i < DataBytes; i++)
        {
            data[i] = (byte)((i * 73) + (input * 31));
        }

        *(int*)(data + FuelAt) = Fuel;
        int value = RegionEntry.Address((CpuState*)data, input * 0x1357, function);
        new Span<byte>(data, DataBytes).CopyTo(result);
        return value;
    }

    /// <summary>Blocks of instructions on thirteen registers and on memory by RBX, half of them moves, with branches anywhere until the fuel is used up.</summary>
    private static void WriteRandom(Assembler a, Random random)
    {
        var blocks = new Label[random.Next(1, 12)];
        for (int i = 0; i < blocks.Length; i++)
        {
            blocks[i] = a.CreateLabel();
        }

        Label end = a.CreateLabel();
        a.mov(rbx, rdi);
        for (int i = 0; i < s_wide.Length; i++)
        {
            if (random.Next(2) == 0)
            {
                a.mov(s_wide[i], __qword_ptr[rbx + (i * 8)]);
            }
            else
            {
                a.mov(s_narrow[i], __dword_ptr[rbx + (i * 8)]);
            }
        }

        for (int i = 0; i < blocks.Length; i++)
        {
            a.Label(ref blocks[i]);
            for (int count = random.Next(1, 16); count > 0; count--)
            {
                WriteInstruction(a, random);
                if (random.Next(10) == 0)
                {
                    a.test(s_narrow[random.Next(s_narrow.Length)], 1 << random.Next(31));
                    a.jne(random.Next(3) == 0 && i + 1 < blocks.Length ? blocks[random.Next(i + 1, blocks.Length)] : end);
                }
            }

            a.dec(__dword_ptr[rbx + FuelAt]);
            a.je(end);
            a.test(s_narrow[random.Next(s_narrow.Length)], 1 << random.Next(31));
            a.jne(blocks[random.Next(blocks.Length)]);
            if (random.Next(3) == 0)
            {
                a.jmp(blocks[random.Next(blocks.Length)]);
            }
        }

        // What counts at the end differs.
        a.Label(ref end);
        a.mov(__qword_ptr[rbx], s_wide[random.Next(s_wide.Length)]);
        for (int count = random.Next(1, s_wide.Length); count > 0; count--)
        {
            a.ror(__dword_ptr[rbx + 8], 7);
            a.add(__dword_ptr[rbx + 8], s_narrow[random.Next(s_narrow.Length)]);
        }

        a.mov(eax, s_narrow[random.Next(s_narrow.Length)]);
        a.ret();
    }

    private static void WriteInstruction(Assembler a, Random random)
    {
        int to = random.Next(s_wide.Length), from = random.Next(s_wide.Length);
        switch (random.Next(33))
        {
            case 29:
                a.movzx(s_narrow[to], __byte_ptr[rbx + random.Next(DataBytes)]);
                break;
            case 30:
                a.and(s_narrow[to], random.Next(3) == 0 ? 0x1FF : 0x7F);
                break;
            case 31:
                a.movzx(s_narrow[to], s_halves[from]);
                break;
            case < 8:
                a.mov(s_narrow[to], s_narrow[from]);
                break;
            case < 15:
                a.mov(s_wide[to], s_wide[from]);
                break;
            case 15:
                a.add(s_narrow[to], s_narrow[from]);
                break;
            case 16:
                a.lea(s_narrow[to], __[s_wide[from] + s_wide[random.Next(s_wide.Length)] + 5]);
                break;
            case 17:
                a.lea(s_wide[to], __[s_wide[from] + (s_wide[random.Next(s_wide.Length)] * 4)]);
                break;
            case 18:
                a.shr(s_wide[to], (byte)random.Next(1, 40));
                break;
            case 19:
                a.shl(s_narrow[to], cl);
                break;
            case 20:
                a.cmp(s_narrow[to], s_narrow[from]);
                a.setb(s_bytes[random.Next(s_bytes.Length)]);
                break;
            case 21:
                a.movzx(s_narrow[to], s_bytes[from]);
                break;
            case 22:
                a.imul(s_narrow[to], s_narrow[from]);
                break;
            case 23:
                a.mov(__dword_ptr[rbx + (random.Next(DataBytes / 8) * 8)], s_narrow[from]);
                break;
            case 24:
                a.mov(s_narrow[to], __dword_ptr[rbx + (random.Next(DataBytes / 8) * 8)]);
                break;
            case 25:
                a.mov(__qword_ptr[rbx + (random.Next(DataBytes / 8) * 8)], s_wide[from]);
                break;
            case 26:
                a.mul(s_narrow[from]);
                break;
            case 27:
                a.and(s_narrow[to], random.Next());
                break;
            case 28:
                a.movzx(s_narrow[from], s_bytes[from]);
                a.mov(s_narrow[to], __dword_ptr[rbx + s_wide[from]]);
                a.and(s_narrow[from], 0xF8);
                a.xor(__dword_ptr[rbx + s_wide[from]], s_narrow[to]);
                break;
            default:
                a.cmovne(s_narrow[to], s_narrow[from]);
                break;
        }
    }
}
