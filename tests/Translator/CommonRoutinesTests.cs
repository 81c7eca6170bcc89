using System.Reflection;
using Dbt.Translator.Interpretation;
using Dbt.Translator.Interpretation.Threaded;
using Dbt.Translator.State;

namespace Dbt.Tests.Translator;

/// <summary>The list of routines that are compiled before a guest asks for them: it must not grow older than the code.</summary>
public sealed unsafe class CommonRoutinesTests
{
    [Fact]
    public void EachLineNamesARoutine()
    {
        Assert.NotEmpty(CommonRoutines.Lines());
        Assert.All(CommonRoutines.Lines(), line =>
        {
            MethodInfo routine = CommonRoutines.Find(line);
            Assert.False(routine.ContainsGenericParameters);
            Assert.Equal([typeof(Interpreter), typeof(CpuState*), typeof(Op*)], routine.GetParameters().Select(parameter => parameter.ParameterType));

            // What isn't compiled fully at once would be compiled again by the runtime.
            Assert.True(routine.MethodImplementationFlags.HasFlag(MethodImplAttributes.AggressiveOptimization), line);
        });
    }

    [Fact]
    public void NoRoutineIsThereTwice() => Assert.Equal(CommonRoutines.Lines().Count(), CommonRoutines.Lines().Select(CommonRoutines.Find).Distinct().Count());

    [Theory]
    [InlineData("AluOps.RegisterRegister<AddOperation, Byte4>", "RegisterRegister", "AddOperation, Byte4")]
    [InlineData("BranchOps.RegisterImmediate<CmpOperation, Not<Equal>, Byte4>", "RegisterImmediate", "CmpOperation, Not`1, Byte4")]
    [InlineData("FlowOps.Ret", "Ret", "")]
    public void ALineIsReadAsInCSharp(string line, string name, string arguments)
    {
        MethodInfo routine = CommonRoutines.Find(line);
        Assert.Equal(name, routine.Name);
        Assert.Equal(arguments, string.Join(", ", routine.GetGenericArguments().Select(argument => argument.Name)));
    }

    [Theory]
    [InlineData("AluOps.Absent<AddOperation, Byte4>")]
    [InlineData("AluOps.RegisterRegister<AddOperation, Byte5>")]
    [InlineData("AluOps.RegisterRegister<AddOperation>")]
    public void WhatThereIsNotIsSaid(string line) =>
        Assert.Contains("CommonRoutines.txt", Assert.Throws<InvalidOperationException>(() => CommonRoutines.Find(line)).Message, StringComparison.Ordinal);
}
