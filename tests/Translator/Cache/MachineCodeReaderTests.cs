using System.Reflection;
using System.Reflection.Emit;
using Dbt.Translator.Cache;
using Dbt.Translator.Emit;
using Dbt.Translator.State;

namespace Dbt.Tests.Translator.Cache;

/// <summary>Copies of what RyuJIT made: those that can be had do the same as the method, and what refers to this process is refused.</summary>
public sealed unsafe class MachineCodeReaderTests
{
    private static int s_counter;

    [X64Fact]
    public void ALoopWithConstantsInMemoryDoesTheSame()
    {
        DynamicMethod method = Make(il =>
        {
            Label again = il.DefineLabel();
            LocalBuilder sum = il.DeclareLocal(typeof(double)), left = il.DeclareLocal(typeof(int));
            il.Emit(OpCodes.Ldc_R8, 0.5);
            il.Emit(OpCodes.Stloc, sum);
            il.Emit(OpCodes.Ldarg_0);
            il.Emit(OpCodes.Conv_I4);
            il.Emit(OpCodes.Stloc, left);
            il.MarkLabel(again);
            il.Emit(OpCodes.Ldloc, sum);
            il.Emit(OpCodes.Ldc_R8, 1.0009765625);
            il.Emit(OpCodes.Mul);
            il.Emit(OpCodes.Ldc_R8, 3.25);
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Stloc, sum);
            il.Emit(OpCodes.Ldloc, left);
            il.Emit(OpCodes.Ldc_I4_1);
            il.Emit(OpCodes.Sub);
            il.Emit(OpCodes.Stloc, left);
            il.Emit(OpCodes.Ldloc, left);
            il.Emit(OpCodes.Brtrue, again);
            il.Emit(OpCodes.Ldloc, sum);
            il.Emit(OpCodes.Conv_I4);
        });
        nint function = DynamicMethodFactory.Compile(method);
        nint copy = CompiledCode.Place(MachineCodeReader.Read(function, HostHelpers.Shared, out _)!);
        Assert.NotEqual(0, copy);
        Assert.Equal(((delegate* managed<nint, nint, nint, int>)function)(500, 0, 0), ((delegate* unmanaged<nint, nint, nint, int>)copy)(500, 0, 0));
        GC.KeepAlive(method);
    }

    public static TheoryData<string, Action<ILGenerator>> Unusable => new()
    {
        {
            "address", il =>
            {
                il.Emit(OpCodes.Ldc_I8, (long)(nint)CpuState.Allocate());
                il.Emit(OpCodes.Conv_I);
                il.Emit(OpCodes.Ldind_I4);
            }
        },
        {
            "call", il =>
            {
                il.Emit(OpCodes.Call, typeof(MachineCodeReaderTests).GetMethod(nameof(NotAHelper), BindingFlags.NonPublic | BindingFlags.Static)!);
                il.Emit(OpCodes.Ldc_I4_1);
                il.Emit(OpCodes.Add);
            }
        },
        {
            "jump table", il =>
            {
                Label[] labels = [.. Enumerable.Range(0, 12).Select(_ => il.DefineLabel())];
                Label end = il.DefineLabel();
                il.Emit(OpCodes.Ldarg_0);
                il.Emit(OpCodes.Conv_I4);
                il.Emit(OpCodes.Switch, labels);
                for (int i = 0; i < labels.Length; i++)
                {
                    il.MarkLabel(labels[i]);
                    il.Emit(OpCodes.Ldarg_1);
                    il.Emit(OpCodes.Ldc_I4, i * i * 77);
                    il.Emit(OpCodes.Stind_I4);
                    il.Emit(OpCodes.Br, end);
                }

                il.MarkLabel(end);
                il.Emit(OpCodes.Ldc_I4_0);
            }
        },
    };

    [X64Theory]
    [MemberData(nameof(Unusable), DisableDiscoveryEnumeration = true)]
    public void WhatRefersToThisProcessIsRefused(string reason, Action<ILGenerator> write)
    {
        ArgumentNullException.ThrowIfNull(write);
        DynamicMethod method = Make(write);
        Assert.Null(MachineCodeReader.Read(DynamicMethodFactory.Compile(method), HostHelpers.Shared, out string? refusal));
        Assert.Equal(reason, refusal);
        GC.KeepAlive(method);
    }

    [X64Fact]
    public void AFieldOfThisProcessIsRefused()
    {
        DynamicMethod method = Make(il => il.Emit(OpCodes.Ldsfld, typeof(MachineCodeReaderTests).GetField(nameof(s_counter), BindingFlags.NonPublic | BindingFlags.Static)!));
        Assert.Null(MachineCodeReader.Read(DynamicMethodFactory.Compile(method), HostHelpers.Shared, out string? refusal));
        Assert.NotNull(refusal);
        GC.KeepAlive(method);
    }

    [X64Fact]
    public void AnUnknownHelperOfAFileIsNotCalled()
    {
        var code = new MachineCode([0xE8, 0, 0, 0, 0, 0xC3], [new HelperCall(1, "Environment.Exit")]);
        Assert.Equal(0, CompiledCode.Place(code));
        Assert.Equal(0, CompiledCode.Place(code with { Calls = [new HelperCall(1, "FlagMath.Shift<Int32>")] }));
        Assert.Equal(0, CompiledCode.Place(code with { Calls = [new HelperCall(1, "")] }));
        Assert.NotEqual(0, CompiledCode.Place(code with { Calls = [new HelperCall(1, "FlagMath.Shift<ShlShift>")] }));
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static int NotAHelper() => s_counter++;

    private static DynamicMethod Make(Action<ILGenerator> write)
    {
        DynamicMethod method = DynamicMethodFactory.Create("test", optimize: true);
        ILGenerator il = method.GetILGenerator();
        write(il);
        il.Emit(OpCodes.Ret);
        return method;
    }
}
